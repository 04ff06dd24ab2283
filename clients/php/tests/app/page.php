<?php

/** A page that sends requests through the transport and shows the responses. */

declare(strict_types=1);

use SessionApi\CurlTransport;
use SessionApi\Unavailable;

require __DIR__ . '/../autoload.php';

// Frameworks turn warnings into exceptions.
set_error_handler(fn (int $_, string $message) => throw new ErrorException($message));
$transport = new CurlTransport();
$send = function (string $url) use ($transport): string {
    try {
        return $transport->send('GET', $url, [], '', str_ends_with($url, '/late') ? 0.5 : 10.0)->body;
    } catch (Unavailable $error) {
        return $error::class . ': ' . $error->getMessage();
    }
};
echo json_encode(array_map($send, $_GET['urls']));
