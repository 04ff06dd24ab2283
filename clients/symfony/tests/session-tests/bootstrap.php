<?php

/** Makes the handler for Symfony's tests. */

declare(strict_types=1);

use SessionApi\Client;
use SessionApi\Handler;
use SessionApi\Options;

require __DIR__ . '/../autoload.php';

function sessionApi(): Handler
{
    $options = new Options();

    return new Handler($options, new Client($options), throws: true);
}
