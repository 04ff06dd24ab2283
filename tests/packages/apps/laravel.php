<?php

declare(strict_types=1);

use Illuminate\Auth\AuthServiceProvider;
use Illuminate\Cache\CacheServiceProvider;
use Illuminate\Config\Repository;
use Illuminate\Cookie\CookieServiceProvider;
use Illuminate\Encryption\EncryptionServiceProvider;
use Illuminate\Filesystem\FilesystemServiceProvider;
use Illuminate\Foundation\Application;
use Illuminate\Foundation\Bootstrap\BootProviders;
use Illuminate\Foundation\Bootstrap\LoadEnvironmentVariables;
use Illuminate\Foundation\Bootstrap\RegisterProviders;
use Illuminate\Http\Request;
use Illuminate\Http\Response;
use Illuminate\Pipeline\Pipeline;
use Illuminate\Session\Middleware\StartSession;
use Illuminate\Session\SessionServiceProvider;

error_reporting(E_ALL & ~E_DEPRECATED);
require 'Illuminate/autoload.php';
require __DIR__ . '/vendor/autoload.php';
spl_autoload_register(static function (string $class): void {
    $file = str_replace('\\', '/', $class) . '.php';
    if (str_starts_with($class, 'Illuminate\\Foundation\\') && stream_resolve_include_path($file) !== false) {
        require $file;
    }
});
require_once 'Illuminate/Foundation/helpers.php';

$app = new Application(__DIR__);
$app->bootstrapWith([LoadEnvironmentVariables::class]);
$app->instance('config', new Repository([
    'app' => [
        'key' => str_repeat('k', 32),
        'cipher' => 'AES-256-CBC',
        'providers' => [
            AuthServiceProvider::class,
            CacheServiceProvider::class,
            CookieServiceProvider::class,
            EncryptionServiceProvider::class,
            FilesystemServiceProvider::class,
            SessionServiceProvider::class,
        ],
    ],
    'auth' => ['defaults' => ['guard' => 'web'], 'guards' => ['web' => ['driver' => 'session', 'provider' => null]]],
    'session' => [
        'driver' => env('SESSION_DRIVER'),
        'lifetime' => 120,
        'expire_on_close' => false,
        'lottery' => [2, 100],
        'cookie' => 'session',
        'path' => '/',
        'domain' => null,
    ],
]));
$request = Request::capture();
$app->instance('request', $request);
// Laravel's package discovery finds the client's provider.
$app->bootstrapWith([RegisterProviders::class, BootProviders::class]);
$respond = static fn (Request $request) => new Response($request->session()->increment('visits'));
(new Pipeline($app))->send($request)->through([StartSession::class])->then($respond)->send();
