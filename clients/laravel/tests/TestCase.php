<?php

declare(strict_types=1);

namespace SessionApi\Laravel\Tests;

use SessionApi\Tests\Server;

/** Tests of pages of a Laravel app, with their sessions in the API at `SESSION_API_URL`. */
abstract class TestCase extends \SessionApi\Tests\TestCase
{
    /** Starts the app as Composer would install it: Laravel finds our provider in the list of packages. */
    protected static function start(string $_): Server
    {
        $folder = sys_get_temp_dir() . '/session-api-laravel-' . bin2hex(random_bytes(8));
        exec('cp -r ' . escapeshellarg(__DIR__ . '/app') . ' ' . escapeshellarg($folder));
        mkdir("$folder/bootstrap/cache", recursive: true);
        mkdir("$folder/vendor/composer", recursive: true);
        $package = json_decode(file_get_contents(__DIR__ . '/../composer.json'), true);
        file_put_contents("$folder/vendor/composer/installed.json", json_encode(['packages' => [$package]]));
        register_shutdown_function(fn () => exec('rm -rf ' . escapeshellarg($folder)));
        putenv('TEST_AUTOLOAD=' . __DIR__ . '/autoload.php');

        return new Server(['-d', 'display_errors=0', '-S', 'ADDRESS', "$folder/index.php"], workers: 16);
    }
}
