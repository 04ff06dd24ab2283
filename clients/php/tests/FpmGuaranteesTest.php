<?php

declare(strict_types=1);

namespace SessionApi\Tests;

/** The guarantees in nginx and php-fpm. */
final class FpmGuaranteesTest extends GuaranteesTest
{
    use InFpm;
}
