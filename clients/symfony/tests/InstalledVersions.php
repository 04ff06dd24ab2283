<?php

declare(strict_types=1);

namespace Composer;

/** Stands in for Composer's own class, which Symfony asks about packages whose classes it has found. */
final class InstalledVersions
{
    public static function isInstalled(): bool
    {
        return false;
    }
}
