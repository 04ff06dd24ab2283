<?php

/** The app under test, with Symfony's sessions. See index.php. */

declare(strict_types=1);

use SessionApi\Tests\Calls;
use Symfony\Component\HttpFoundation\Session\Session;
use Symfony\Component\HttpFoundation\Session\Storage\Handler\MigratingSessionHandler;
use Symfony\Component\HttpFoundation\Session\Storage\Handler\NativeFileSessionHandler;
use Symfony\Component\HttpFoundation\Session\Storage\Handler\StrictSessionHandler;
use Symfony\Component\HttpFoundation\Session\Storage\MetadataBag;
use Symfony\Component\HttpFoundation\Session\Storage\NativeSessionStorage;

require __DIR__ . '/../autoload.php';
require_once 'Symfony/Component/HttpFoundation/autoload.php';

error_reporting(E_ALL & ~E_DEPRECATED);
ini_set('display_errors', '0');
['store' => $store, 'files' => $files] = json_decode($_SERVER['HTTP_X_INI'], true) + ['files' => null];
$handler = $api = Calls::handler(json_decode($_SERVER['HTTP_X_OPTIONS'], true), $_SERVER['HTTP_X_CALLS']);
if ($store === 'mirror') {
    $handler = new MigratingSessionHandler(new StrictSessionHandler(new NativeFileSessionHandler($files)), $api);
}
$settings = ['use_strict_mode' => 1, 'gc_maxlifetime' => 7200, 'cookie_samesite' => 'lax'];
$session = new Session(new NativeSessionStorage($settings, $handler, new MetadataBag('_sf2_meta', 120)));
$results = [];
$error = null;
try {
    $session->start();
    foreach (json_decode(file_get_contents('php://input'), true) as [$step, $a, $b]) {
        $results[] = match ($step) {
            'set' => $session->set($a, $b),
            'sleep' => usleep($a * 1000),
            'migrate' => $session->migrate($a),
            'invalidate' => $session->invalidate(),
            'flash' => $session->getFlashBag()->add($a, $b),
            'login' => $api->login($a),
            'devices' => $api->devices(),
        };
    }
    $all = $session->all();
    $session->save();
} catch (Throwable $thrown) {
    $error = $thrown::class . ': ' . $thrown->getMessage();
}
echo json_encode([
    'id' => $session->getId(),
    'isActive' => true,
    'session' => $all ?? [],
    'results' => $results,
    'error' => $error,
    'warnings' => [],
]);
