<?php

declare(strict_types=1);

namespace SessionApi;

/** Environment variables, including those a framework has read from `.env`. An empty one counts as unset. */
final class Environment
{
    public static function get(string $name): ?string
    {
        $value = $_ENV[$name] ?? getenv($name);

        return \is_string($value) && $value !== '' ? $value : null;
    }
}
