<?php

declare(strict_types=1);

namespace SessionApi\Laravel\Tests;

/** The app under test. */
final class App
{
    /**
     * Installs the app as Composer would, so that Laravel discovers our provider. Returns its folder, which is deleted
     * when the process ends.
     */
    public static function install(): string
    {
        $folder = sys_get_temp_dir() . '/session-api-laravel-' . bin2hex(random_bytes(8));
        exec('cp -r ' . escapeshellarg(__DIR__ . '/app') . ' ' . escapeshellarg($folder));
        mkdir("$folder/bootstrap/cache", recursive: true);
        mkdir("$folder/vendor/composer", recursive: true);
        $package = json_decode(file_get_contents(__DIR__ . '/../composer.json'), true);
        file_put_contents("$folder/vendor/composer/installed.json", json_encode(['packages' => [$package]]));
        register_shutdown_function(fn () => exec('rm -rf ' . escapeshellarg($folder)));
        putenv('TEST_AUTOLOAD=' . __DIR__ . '/autoload.php');

        return $folder;
    }
}
