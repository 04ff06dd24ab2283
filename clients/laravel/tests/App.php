<?php

declare(strict_types=1);

namespace SessionApi\Laravel\Tests;

use Illuminate\Contracts\Debug\ExceptionHandler;
use Illuminate\Contracts\Http\Kernel;
use Illuminate\Foundation\Application;

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

    /** Creates the app that's installed in this folder. */
    public static function create(string $folder): Application
    {
        $app = new Application($folder);
        // The app has all the configuration it needs. Debian keeps the framework's where Laravel doesn't look for it.
        if (method_exists($app, 'dontMergeFrameworkConfiguration')) {
            $app->dontMergeFrameworkConfiguration();
        }
        $app->singleton(Kernel::class, HttpKernel::class);
        $app->singleton(ExceptionHandler::class, Exceptions::class);

        return $app;
    }
}
