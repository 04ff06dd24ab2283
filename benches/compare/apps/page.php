<?php

/** A page in plain PHP. HANDLER is the session handler, and STORE_URL is its store's URL. */

declare(strict_types=1);

use Aws\DynamoDb\DynamoDbClient;
use Aws\DynamoDb\SessionHandler;

error_reporting(E_ALL & ~E_DEPRECATED);
$handler = getenv('HANDLER');
$store = getenv('STORE_URL');
if (str_starts_with($handler, 'aws-sdk')) {
    require getenv('AWS_SDK_PHP');
    $client = new DynamoDbClient(['version' => 'latest', 'region' => getenv('AWS_REGION'), 'endpoint' => $store]);
    $locking = $handler === 'aws-sdk-locking';
    SessionHandler::fromClient($client, ['table_name' => 'php', 'locking' => $locking])->register();
} elseif (str_starts_with($handler, 'session-api')) {
    require __DIR__ . '/../../../clients/php/autoload.php';
    $lock = $handler === 'session-api-locking' ? ['lock' => 10] : [];
    SessionApi\Handler::register($lock + json_decode($_SERVER['HTTP_X_OPTIONS'], true));
} elseif (str_starts_with($handler, 'redis')) {
    ini_set('session.save_handler', 'redis');
    ini_set('session.save_path', str_replace('redis:', 'tcp:', $store));
    if ($handler === 'redis-locking') {
        // The values in its documentation. By default, a page waits at most 20 ms for a lock.
        ini_set('redis.session.locking_enabled', '1');
        ini_set('redis.session.lock_expire', '60');
        ini_set('redis.session.lock_wait_time', '50000');
        ini_set('redis.session.lock_retries', '2000');
    }
} else {
    ini_set('session.save_path', $store);
}

$isStarted = session_start();
foreach (json_decode(file_get_contents('php://input'), true) as [$step, $a, $b]) {
    match ($step) {
        'set' => $_SESSION[$a] = $b,
        'unset' => (function () use ($a): void {
            unset($_SESSION[$a]);
        })(),
        'sleep' => usleep($a * 1000),
        'regenerate' => session_regenerate_id(true),
        'destroy' => session_destroy(),
        // Like a worker that runs out of memory.
        'die' => posix_kill(getmypid(), SIGKILL),
    };
}
// session_destroy() doesn't clear the variable.
$session = session_status() === PHP_SESSION_NONE && $isStarted ? [] : $_SESSION ?? [];
header('Content-Type: application/json');
echo json_encode(['session' => (object) $session]);
