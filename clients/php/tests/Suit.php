<?php

declare(strict_types=1);

namespace SessionApi\Tests;

enum Suit
{
    case Hearts;
}
