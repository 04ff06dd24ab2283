<?php

declare(strict_types=1);

namespace SessionApi\Tests;

/** The guarantees in nginx and php-fpm. */
final class FpmGuaranteesTest extends GuaranteesTest
{
    protected static function start(string $script): FpmServer
    {
        return new FpmServer($script);
    }
}
