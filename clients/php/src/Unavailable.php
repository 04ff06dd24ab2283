<?php

declare(strict_types=1);

namespace SessionApi;

/**
 * The session couldn't be read or written: the API didn't respond, failed, or refused the request.
 *
 * It never means that there is no session.
 */
class Unavailable extends \RuntimeException
{
}
