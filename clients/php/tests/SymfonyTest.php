<?php

declare(strict_types=1);

namespace SessionApi\Tests;

/** Symfony's sessions. Symfony wraps handlers and makes ids itself. */
final class SymfonyTest extends TestCase
{
    protected static function start(string $_): Server
    {
        return parent::start(__DIR__ . '/app/symfony.php');
    }

    public function testOldIdsEndWithALoginAndALogout(): void
    {
        $ends = [[['login', 'ada']], [['migrate', true]], [['invalidate']], [['invalidate'], ['set', 'b', 1]]];
        foreach ($ends as $steps) {
            $browser = $this->browser(['grace' => 0], ['store' => 'api']);
            $browser->visit(['set', 'a', 1]);
            $old = $browser->cookie;
            $page = $browser->visit(...$steps);
            self::assertNull($page->error);
            self::assertContains('POST /session/rotate', $page->calls);
            self::assertNotSame($old, $browser->cookie);
            self::assertSame($page->session, $browser->visit()->session);
            $browser->cookie = $old;
            self::assertSame([], $browser->visit()->session);
        }
    }

    public function testUserHasDevices(): void
    {
        $browser = $this->browser(ini: ['store' => 'api']);
        $browser->visit(['set', 'a', 1]);
        $browser->visit(['login', $this->user()]);
        self::assertCount(1, $browser->visit(['devices'])->results[0]);
    }

    public function testNewAndUnchangedPagesMakeOneCall(): void
    {
        $browser = $this->browser(ini: ['store' => 'api']);
        self::assertSame(['PUT /session'], $browser->visit(['set', 'a', 1])->calls);
        self::assertSame(['GET /session'], $browser->visit()->calls);
        $browser->cookie = str_repeat('a', 64);
        self::assertSame(['GET /session', 'PUT /session'], $browser->visit(['set', 'a', 1])->calls);
    }

    public function testParallelPagesKeepAllAttributes(): void
    {
        $browser = $this->browser(ini: ['store' => 'api']);
        $browser->visit(['set', 'start', 1]);
        $pages = array_map(fn (int $n) => [['sleep', 200], ['set', "key$n", $n]], range(1, 4));
        $browser->visitAtOnce($pages);
        self::assertCount(5, $browser->visit()->session);
    }

    public function testHandlerThatSymfonyOnlyWritesToHasTheSameSessions(): void
    {
        $files = sys_get_temp_dir() . '/session-files-' . bin2hex(random_bytes(8));
        mkdir($files);
        $browser = $this->browser(ini: ['store' => 'mirror', 'files' => $files]);
        $page = $browser->visit(['set', 'a', 1]);
        self::assertNull($page->error);
        $old = $browser->cookie;
        self::assertSame(['PUT /session'], $browser->visit(['set', 'a', 2])->calls);
        self::assertNull($browser->visit(['migrate', true])->error);
        $browser->ini = ['store' => 'api'];
        self::assertSame(['a' => 2], $browser->visit()->session);
        $browser->cookie = $old;
        self::assertSame([], $browser->visit()->session);
        exec('rm -rf ' . escapeshellarg($files));
    }
}
