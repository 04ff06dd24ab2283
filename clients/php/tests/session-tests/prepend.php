<?php

/** Registers the handler before each of PHP's tests. */

declare(strict_types=1);

require __DIR__ . '/../autoload.php';

// In the code that decides whether to skip a test, output has already begun.
if (!headers_sent()) {
    SessionApi\Handler::register();
}
