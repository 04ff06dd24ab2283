<?php

declare(strict_types=1);

namespace SessionApi\Tests;

/** How many calls each kind of page makes in nginx and php-fpm. */
final class FpmCallsTest extends CallsTest
{
    use InFpm;
}
