<?php

declare(strict_types=1);

namespace SessionApi;

/** Values that outlive a page: in the worker's memory, and in APCu if it's there. */
final class Memory
{
    private const PREFIX = 'session-api.';
    /** How many values a worker keeps. */
    private const SIZE = 1000;

    /** @var array<string, mixed> Newest first. */
    private static array $values = [];

    public static function get(string $key): mixed
    {
        return self::$values[$key] ?? (self::hasApcu() ? (apcu_fetch(self::PREFIX . $key) ?: null) : null);
    }

    public static function set(string $key, mixed $value, int $seconds): void
    {
        self::$values = \array_slice([$key => $value] + self::$values, 0, self::SIZE, true);
        if (self::hasApcu()) {
            apcu_store(self::PREFIX . $key, $value, $seconds);
        }
    }

    /** Whether no page on this server has claimed the key in the last seconds. Without APCu, that's always so. */
    public static function claim(string $key, int $seconds): bool
    {
        return !self::hasApcu() || apcu_add(self::PREFIX . $key, true, $seconds);
    }

    private static function hasApcu(): bool
    {
        return \function_exists('apcu_enabled') && apcu_enabled();
    }
}
