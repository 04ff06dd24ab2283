<?php

/** A page that sends one request through the transport, and shows the response. */

declare(strict_types=1);

use SessionApi\StreamTransport;
use SessionApi\Unavailable;

require __DIR__ . '/../autoload.php';

ini_set('display_errors', '0');
try {
    $path = parse_url($_SERVER['REQUEST_URI'], PHP_URL_PATH);
    echo (new StreamTransport($_SERVER['QUERY_STRING']))->send('GET', $path, [], '', 1.0)->body;
} catch (Unavailable $error) {
    echo $error::class, ': ', $error->getMessage();
}
