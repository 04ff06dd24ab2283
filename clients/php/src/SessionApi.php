<?php

declare(strict_types=1);

namespace SessionApi;

/** Logins, logouts and devices for an app that has registered the {@see Handler}. */
final class SessionApi
{
    private static ?Handler $handler = null;

    /** @internal */
    public static function use(Handler $handler): void
    {
        self::$handler = $handler;
    }

    /**
     * Makes a user the session's owner and moves the session to a new id. Call it once the user has proved who they
     * are. Requests in flight can still read the old session for `grace` seconds.
     *
     * @throws Unavailable
     */
    public static function login(string|int|\Stringable $user): void
    {
        if ((string) $user === '') {
            throw new \InvalidArgumentException("The user's name must not be empty");
        }
        self::active()->login((string) $user);
    }

    /**
     * Ends all of the owner's sessions, including this one. Returns how many it ended.
     *
     * @throws Unavailable
     */
    public static function logoutEverywhere(): int
    {
        return self::active()->logoutEverywhere();
    }

    /**
     * Ends all of the owner's sessions except this one. Returns how many it ended.
     *
     * @throws Unavailable
     */
    public static function logoutOtherDevices(): int
    {
        return self::active()->logoutOtherDevices();
    }

    /**
     * Lists the owner's sessions, newest first. Times are RFC 3339. Pass `handle` to {@see logoutDevice()}; it can't
     * be used to read a session.
     *
     * @return list<array{
     *     handle: string, created: string, used: string, expires: string, label: string|null, current: bool
     * }>
     *
     * @throws Unavailable
     */
    public static function devices(): array
    {
        return self::active()->devices();
    }

    /**
     * Ends one of the owner's sessions by its handle. Returns whether there was one.
     *
     * @throws Unavailable
     */
    public static function logoutDevice(string $handle): bool
    {
        return self::active()->logoutDevice($handle);
    }

    private static function active(): Handler
    {
        if (self::$handler === null || session_status() !== PHP_SESSION_ACTIVE) {
            throw new \LogicException('Call Handler::register() and session_start() first');
        }

        return self::$handler;
    }
}
