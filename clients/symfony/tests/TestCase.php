<?php

declare(strict_types=1);

namespace SessionApi\Symfony\Tests;

use SessionApi\Tests\Browser;
use SessionApi\Tests\Page;
use SessionApi\Tests\Server;

/** Tests with pages of a Symfony app whose sessions are in the API at `SESSION_API_URL`. */
abstract class TestCase extends \SessionApi\Tests\TestCase
{
    protected static function start(string $_): Server
    {
        Kernel::install();

        $settings = ['-d', 'display_errors=0', '-d', 'opcache.enable_cli=1'];

        return new Server([...$settings, '-S', 'ADDRESS', __DIR__ . '/index.php'], workers: 16);
    }

    /** @param list<mixed> ...$steps */
    protected static function visit(Browser $browser, string $path, array ...$steps): Page
    {
        $browser->path = $path;
        $page = $browser->visit(...$steps);
        $browser->path = '/';

        return $page;
    }

    /** @param list<mixed> ...$steps */
    protected static function login(Browser $browser, string $user, array ...$steps): Page
    {
        return self::visit($browser, '/?user=' . rawurlencode($user), ...$steps);
    }
}
