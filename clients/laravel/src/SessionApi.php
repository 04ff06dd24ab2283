<?php

declare(strict_types=1);

namespace SessionApi\Laravel;

use Illuminate\Support\Facades\Facade;

/**
 * Devices of the logged-in user.
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
    /** In a worker such as Octane's, the next request has another session. */
    protected static $cached = false;

    protected static function getFacadeAccessor(): string
    {
        return Devices::class;
    }
}
