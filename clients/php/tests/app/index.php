<?php

/**
 * The app under test. A request has a list of steps in its body and the handler's options in `X-Options`. The response
 * shows the session after the steps. Each API call adds a line to the file named in `X-Calls`.
 */

declare(strict_types=1);

use SessionApi\MigratingHandler;
use SessionApi\SessionApi;
use SessionApi\Tests\Calls;
use SessionApi\Tests\Decorator;

require __DIR__ . '/../autoload.php';

error_reporting(E_ALL);
ini_set('display_errors', '0');
$warnings = [];
set_error_handler(function (int $level, string $message) use (&$warnings): bool {
    $warnings[] = $message;

    return true;
});
foreach (json_decode($_SERVER['HTTP_X_INI'] ?? '{}', true) as $name => $value) {
    ini_set($name, (string) $value);
}
$options = json_decode($_SERVER['HTTP_X_OPTIONS'] ?? '{}', true);
[$store, $options] = [$options['store'] ?? 'api', array_diff_key($options, ['store' => 1])];
$api = Calls::handler($options, $_SERVER['HTTP_X_CALLS']);
[$past, $until] = [new DateTimeImmutable('-1 second'), new DateTimeImmutable('+1 hour')];
match ($store) {
    'api' => $api->install(),
    'decorated' => [$api->install(), session_set_save_handler(new Decorator($api), true)],
    'files' => ini_set('session.use_strict_mode', '1'),
    'files, then api' => (new MigratingHandler(new SessionHandler(), $api, $until))->install(),
    'api, then files' => (new MigratingHandler($api, new SessionHandler(), $until))->install(),
    'api, files over' => (new MigratingHandler($api, new SessionHandler(), $past))->install(),
};

$steps = json_decode(file_get_contents('php://input'), true);
$results = [];
$error = null;
try {
    session_start();
    foreach ($steps as [$step, $a, $b]) {
        $results[] = match ($step) {
            'set' => $_SESSION[$a] = $b,
            'unset' => (function () use ($a): void {
                unset($_SESSION[$a]);
            })(),
            'increment' => $_SESSION[$a] = ($_SESSION[$a] ?? 0) + 1,
            'binary' => (function () use ($a, $b): void {
                $_SESSION[$a] = random_bytes($b);
            })(),
            'shared' => $_SESSION[$a] = [$object = new ArrayObject(), $object],
            'closeWithClosure' => (function (): ?string {
                try {
                    $_SESSION['closure'] = fn () => null;
                    session_write_close();
                } catch (Throwable $error) {
                    unset($_SESSION['closure']);
                }

                return $error?->getMessage();
            })(),
            'hash' => hash('sha256', serialize($_SESSION)),
            'empty' => $_SESSION = [],
            'sleep' => usleep($a * 1000),
            'now' => microtime(true),
            'regenerate' => session_regenerate_id($a),
            'destroy' => session_destroy(),
            // The page leaves it to PHP to close the session.
            'buffer' => ob_start(),
            'abort' => session_abort(),
            'close' => session_write_close(),
            'save' => session_write_close() && session_start(),
            'start' => session_start($a ?? []),
            'set ini' => ini_set($a, $b),
            'reset' => session_reset(),
            'read' => $api->read($a),
            'write' => $api->write($a, $b),
            'end' => $api->destroy($a),
            'cookie' => setcookie($a, $b),
            'newId' => session_create_id(),
            'login' => SessionApi::login($a),
            'devices' => SessionApi::devices(),
            'logoutDevice' => SessionApi::logoutDevice($a),
            'logoutEverywhere' => SessionApi::logoutEverywhere(),
            'logoutOtherDevices' => SessionApi::logoutOtherDevices(),
        };
    }
} catch (Throwable $thrown) {
    $error = $thrown::class . ': ' . $thrown->getMessage();
}
$isActive = session_status() === PHP_SESSION_ACTIVE;
$id = session_id();
if (!\in_array('buffer', array_column($steps, 0), true)) {
    session_write_close();
}
header('Content-Type: application/json');
echo json_encode([
    'id' => $id,
    'isActive' => $isActive,
    'session' => mb_check_encoding(serialize($_SESSION ?? []), 'UTF-8') ? $_SESSION ?? [] : null,
    'results' => $results,
    'error' => $error,
    'warnings' => $warnings,
]);
