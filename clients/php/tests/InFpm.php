<?php

declare(strict_types=1);

namespace SessionApi\Tests;

/** Runs a class's tests with nginx and php-fpm. */
trait InFpm
{
    protected static function start(string $script): FpmServer
    {
        return new FpmServer($script);
    }
}
