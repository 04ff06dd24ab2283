<?php

declare(strict_types=1);

namespace SessionApi;

/** Another request has changed the session since it was read. */
final class Conflict extends \RuntimeException
{
    /** @param Session $current the session as it is now */
    public function __construct(public readonly Session $current)
    {
        parent::__construct('Another request has changed the session since it was read');
    }
}
