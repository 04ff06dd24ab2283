<?php

declare(strict_types=1);

namespace SessionApi;

/** Another request holds the session's lock. */
final class Locked extends Unavailable
{
}
