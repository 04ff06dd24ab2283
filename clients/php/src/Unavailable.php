<?php

declare(strict_types=1);

namespace SessionApi;

/**
 * The session couldn't be read or written: the API didn't respond, failed, or refused the request, or there are no AWS
 * credentials to sign it with.
 *
 * It never means that the session doesn't exist.
 */
class Unavailable extends \RuntimeException
{
}
