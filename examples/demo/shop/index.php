<?php

/** The shop, in Laravel. Only the driver in config/session.php knows where the sessions are. */

declare(strict_types=1);

use Illuminate\Contracts\Debug\ExceptionHandler;
use Illuminate\Contracts\Http\Kernel;
use Illuminate\Foundation\Application;
use Illuminate\Foundation\Exceptions\Handler;
use Illuminate\Http\Request;
use Shop\HttpKernel;

if ($_SERVER['REQUEST_URI'] === '/health') {
    exit('ok');
}
error_reporting(E_ALL & ~E_DEPRECATED);
require __DIR__ . '/autoload.php';

// The page simulates several devices in one browser. Each has its own path, and therefore its own cookies.
$_SERVER['HTTP_USER_AGENT'] = explode('/', $_SERVER['REQUEST_URI'])[2] ?? '';
$app = new Application(__DIR__);
$app->useStoragePath(getenv('SHOP_STORAGE'));
$app->singleton(Kernel::class, HttpKernel::class);
$app->singleton(ExceptionHandler::class, Handler::class);
$kernel = $app->make(Kernel::class);
$request = Request::capture();
$response = $kernel->handle($request);
$response->send();
$kernel->terminate($request, $response);
