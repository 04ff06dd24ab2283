<?php

declare(strict_types=1);

namespace SessionApi;

/** Environment variables, also those that a framework has read from `.env`. An empty one counts as not set. */
final class Environment
{
    public static function get(string $name): ?string
    {
        $value = $_ENV[$name] ?? getenv($name);

        return \is_string($value) && $value !== '' ? $value : null;
    }
}
