<?php

declare(strict_types=1);

namespace SessionApi\Tests;

/** The client's guarantees with nginx and php-fpm. */
final class FpmGuaranteesTest extends GuaranteesTest
{
    use InFpm;
}
