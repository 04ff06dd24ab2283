<?php

declare(strict_types=1);

namespace SessionApi\Laravel;

use Illuminate\Support\Facades\Facade;

/**
 * Devices of the user who is logged in.
 *
 * @method static list<array<string, mixed>> devices()
 * @method static bool logoutDevice(string $handle)
 * @method static int logoutOtherDevices()
 * @method static int logoutEverywhere()
 *
 * @see Devices
 */
final class SessionApi extends Facade
{
    /** Another request has another session. */
    protected static $cached = false;

    protected static function getFacadeAccessor(): string
    {
        return Devices::class;
    }
}
