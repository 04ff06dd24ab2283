<?php

/** The shop in PHP. Only the two lines that register the handler know where sessions are. */

declare(strict_types=1);

use SessionApi\Handler;
use SessionApi\SessionApi;

require __DIR__ . '/../../../clients/php/autoload.php';

if ($_SERVER['REQUEST_URI'] === '/health') {
    exit('ok');
}

$usesApi = getenv('SHOP_STORE') === 'api';
if ($usesApi) {
    Handler::register();
}
session_start();

$add = function (string $item): void {
    // A key for each item, so that parallel pages that add different items merge.
    $key = "basket.$item";
    $_SESSION[$key] = ($_SESSION[$key] ?? 0) + 1;
};
if ($_SERVER['REQUEST_METHOD'] === 'POST') {
    match ($_POST['action']) {
        'add' => $add($_POST['item']),
        'slow' => [sleep(2), $add($_POST['item'])],
        'login' => [
            $usesApi ? SessionApi::login($_POST['user']) : session_regenerate_id(true),
            $_SESSION['user'] = $_POST['user'],
        ],
        'logout' => session_destroy(),
        'end' => SessionApi::logoutDevice($_POST['handle']),
    };
    session_write_close();
    header('Location: /', true, 303);
    exit;
}

$basket = [];
foreach ($_SESSION as $key => $value) {
    if (str_starts_with($key, 'basket.')) {
        $basket[substr($key, \strlen('basket.'))] = $value;
    }
}
$user = $_SESSION['user'] ?? null;
$devices = $usesApi && $user !== null ? SessionApi::devices() : [];
$items = ['apple', 'pear', 'melon'];
require __DIR__ . '/../page.php';
