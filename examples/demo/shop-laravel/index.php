<?php

/** The shop in Laravel. Only the driver in config/session.php knows where sessions are. */

declare(strict_types=1);

use Illuminate\Contracts\Debug\ExceptionHandler;
use Illuminate\Contracts\Http\Kernel;
use Illuminate\Foundation\Application;
use Illuminate\Foundation\Exceptions\Handler;
use Illuminate\Http\Request;
use Shop\HttpKernel;

error_reporting(E_ALL & ~E_DEPRECATED);
require __DIR__ . '/autoload.php';

$app = new Application(__DIR__);
$app->useStoragePath(getenv('SHOP_STORAGE'));
$app->singleton(Kernel::class, HttpKernel::class);
$app->singleton(ExceptionHandler::class, Handler::class);
$kernel = $app->make(Kernel::class);
$request = Request::capture();
$response = $kernel->handle($request);
$response->send();
$kernel->terminate($request, $response);
