<?php

/** A Laravel app. Its pages do the steps in the request's body: see {@see SessionApi\Laravel\Tests\Steps}. */

declare(strict_types=1);

use Illuminate\Contracts\Debug\ExceptionHandler;
use Illuminate\Contracts\Http\Kernel;
use Illuminate\Foundation\Application;
use Illuminate\Http\Request;
use SessionApi\Laravel\Tests\Exceptions;
use SessionApi\Laravel\Tests\HttpKernel;

error_reporting(E_ALL & ~E_DEPRECATED);
putenv('SESSION_DRIVER=' . (json_decode($_SERVER['HTTP_X_INI'], true)['driver'] ?? 'session-api'));
require getenv('TEST_AUTOLOAD');

$app = new Application(__DIR__);
$app->singleton(Kernel::class, HttpKernel::class);
$app->singleton(ExceptionHandler::class, Exceptions::class);
$kernel = $app->make(Kernel::class);
$request = Request::capture();
$response = $kernel->handle($request);
$response->send();
$kernel->terminate($request, $response);
