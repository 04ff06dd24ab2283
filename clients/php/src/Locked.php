<?php

declare(strict_types=1);

namespace SessionApi;

/** Another request holds the session's lock, or this one has lost it. */
final class Locked extends Unavailable
{
}
