<?php

declare(strict_types=1);

namespace SessionApi;

/** Logins, logouts and devices, for an app that has registered the {@see Handler}. */
final class SessionApi
{
    private static ?Handler $handler = null;

    /** @internal */
    public static function use(Handler $handler): void
    {
        self::$handler = $handler;
    }

    /**
     * Makes a user the owner of the session, and moves the session to a new id. Call it when the user has proved who
     * they are. Requests in flight can still read the old session for the seconds of the option `grace`.
     *
     * @throws Unavailable
     */
    public static function login(string|int|\Stringable $user): void
    {
        if ((string) $user === '') {
            throw new \InvalidArgumentException('The name of a user is not empty');
        }
        self::active()->login((string) $user);
    }

    /**
     * Ends the session and all other sessions of its owner. Returns how many there were.
     *
     * @throws Unavailable
     */
    public static function logoutEverywhere(): int
    {
        return self::active()->logoutEverywhere();
    }

    /**
     * Ends all sessions of the session's owner except this one. Returns how many there were.
     *
     * @throws Unavailable
     */
    public static function logoutOtherDevices(): int
    {
        return self::active()->logoutOtherDevices();
    }

    /**
     * Lists the sessions of the session's owner, newest first. Times are RFC 3339. `handle` is what
     * {@see logoutDevice()} takes; it cannot be used to read a session.
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
     * Ends another session of the session's owner. Returns whether there was one with this handle.
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
