<?php

/** A Laravel app. Its pages do the steps in the request's body: see {@see SessionApi\Laravel\Tests\Steps}. */

declare(strict_types=1);

use Illuminate\Contracts\Http\Kernel;
use Illuminate\Http\Request;
use SessionApi\Laravel\Tests\App;

error_reporting(E_ALL & ~E_DEPRECATED);
putenv('SESSION_DRIVER=' . (json_decode($_SERVER['HTTP_X_INI'], true)['driver'] ?? 'session-api'));
require getenv('TEST_AUTOLOAD');

$kernel = App::create(__DIR__)->make(Kernel::class);
$request = Request::capture();
$response = $kernel->handle($request);
$response->send();
$kernel->terminate($request, $response);
