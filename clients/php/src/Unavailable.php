<?php

declare(strict_types=1);

namespace SessionApi;

/**
 * The session could not be read or written: the API did not respond, failed, or refused the request.
 *
 * It never means that there is no session.
 */
class Unavailable extends \RuntimeException
{
}
