<?php

declare(strict_types=1);

namespace SessionApi;

/** Environment variables. An empty one counts as not set. */
final class Environment
{
    public static function get(string $name): ?string
    {
        $value = getenv($name);

        return $value === false || $value === '' ? null : $value;
    }
}
