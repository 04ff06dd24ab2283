<?php

/** Serves the app under test: see {@see SessionApi\Symfony\Tests\Kernel}. */

declare(strict_types=1);

use SessionApi\Symfony\Tests\Kernel;
use Symfony\Component\HttpFoundation\Request;

error_reporting(E_ALL & ~E_DEPRECATED);
require __DIR__ . '/autoload.php';

$kernel = new Kernel(json_decode($_SERVER['HTTP_X_INI'], true)['environment'] ?? 'prod', false);
$request = Request::createFromGlobals();
$response = $kernel->handle($request);
$response->send();
$kernel->terminate($request, $response);
