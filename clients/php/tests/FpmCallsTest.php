<?php

declare(strict_types=1);

namespace SessionApi\Tests;

/** How many API calls each kind of page makes with nginx and php-fpm. */
final class FpmCallsTest extends CallsTest
{
    use InFpm;
}
