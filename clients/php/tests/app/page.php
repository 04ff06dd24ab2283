<?php

/** A page that sends one request through the transport, and shows the response. */

declare(strict_types=1);

use SessionApi\StreamTransport;
use SessionApi\Unavailable;

require __DIR__ . '/../autoload.php';

ini_set('display_errors', '0');
if (isset($_GET['dies'])) {
    pcntl_async_signals(true);
    pcntl_signal(SIGALRM, fn () => exit('died'));
    pcntl_alarm(1);
}
try {
    $path = parse_url($_SERVER['REQUEST_URI'], PHP_URL_PATH);
    $timeout = isset($_GET['dies']) ? 5.0 : 1.0;
    echo (new StreamTransport($_GET['url']))->send('GET', $path, [], '', $timeout)->body;
} catch (Unavailable $error) {
    echo $error::class, ': ', $error->getMessage();
}
