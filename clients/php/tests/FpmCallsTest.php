<?php

declare(strict_types=1);

namespace SessionApi\Tests;

/** How many calls each kind of page makes in nginx and php-fpm. */
final class FpmCallsTest extends CallsTest
{
    protected static function start(string $script): FpmServer
    {
        return new FpmServer($script);
    }
}
