<?php

declare(strict_types=1);

namespace SessionApi\Laravel\Tests;

use SessionApi\Tests\Server;

/** Tests with pages of a Laravel app whose sessions are in the API at `SESSION_API_URL`. */
abstract class TestCase extends \SessionApi\Tests\TestCase
{
    protected static function start(string $_): Server
    {
        $folder = App::install();

        return new Server(['-d', 'display_errors=0', '-S', 'ADDRESS', "$folder/index.php"], workers: 16);
    }
}
