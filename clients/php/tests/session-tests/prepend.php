<?php

/** Registers the handler before each of PHP's tests. */

declare(strict_types=1);

require __DIR__ . '/../autoload.php';

// In the conditions under which a test is skipped, there is output already.
if (!headers_sent()) {
    SessionApi\Handler::register();
}
