<?php

declare(strict_types=1);

namespace SessionApi\Symfony\Tests;

final class SessionTest extends TestCase
{
    public function testNewAndUnchangedPagesMakeOneCall(): void
    {
        $browser = $this->browser();
        self::assertSame(['PUT /session'], $browser->visit(['set', 'a', 1])->calls);
        self::assertSame(['GET /session'], $browser->visit()->calls);
        $browser->cookie = str_repeat('a', 64);
        self::assertSame(['GET /session', 'PUT /session'], $browser->visit(['set', 'a', 1])->calls);
    }

    public function testPageThatDoesNotUseTheSessionMakesNoCallAndSetsNoCookie(): void
    {
        $browser = $this->browser();
        $page = self::visit($browser, '/api');
        self::assertSame([null, [], null], [$page->error, $page->calls, $page->cookie]);
        $page = $browser->visit(['unset', 'none']);
        self::assertSame([null, [], null], [$page->error, $page->calls, $page->cookie]);
    }

    public function testOldIdsEndWithANewIdAndALogout(): void
    {
        $ends = [
            [[['login', 'ada']], 'POST /session/rotate'],
            [[['migrate', true]], 'POST /session/rotate'],
            [[['migrate', false]], 'POST /session/rotate'],
            [[['invalidate']], 'DELETE /session'],
            [[['invalidate'], ['set', 'b', 1]], 'DELETE /session'],
        ];
        foreach ($ends as [$steps, $call]) {
            $browser = $this->browser(['grace' => 0]);
            $browser->visit(['set', 'a', 1]);
            $old = $browser->cookie;
            $page = $browser->visit(...$steps);
            self::assertNull($page->error);
            self::assertContains($call, $page->calls);
            self::assertNotSame($old, $browser->cookie);
            self::assertSame($page->session, $browser->visit()->session);
            $browser->cookie = $old;
            self::assertSame([], $browser->visit()->session);
        }
    }

    public function testFlashesAreShownOnce(): void
    {
        $browser = $this->browser();
        $browser->visit(['set', 'a', 1]);
        $browser->visit(['invalidate'], ['flash', 'notice', 'bye']);
        self::assertSame(['bye'], $browser->visit(['flashes', 'notice'])->results[0]);
        self::assertSame([], $browser->visit(['flashes', 'notice'])->results[0]);
    }

    public function testOnlyASessionThatHasStartedHasDevices(): void
    {
        $page = self::visit($this->browser(), '/api', ['devices']);
        self::assertSame('LogicException: Start the session first', $page->error);
    }

    public function testWriteThatFailsIsAnError(): void
    {
        $browser = $this->browser(['retries' => 0]);
        $browser->visit(['set', 'a', 1]);
        $page = $browser->loseResponse('PUT /session')->visit(['set', 'a', 2]);
        self::assertSame('SessionApi\Unavailable: the response was lost', $page->error);
    }

    public function testParallelPagesKeepAllAttributes(): void
    {
        $browser = $this->browser();
        $browser->visit(['set', 'start', 1]);
        $pages = array_map(fn (int $n) => [['unset', 'none'], ['sleep', 200], ['set', "key$n", $n]], range(1, 4));
        $browser->visitAtOnce($pages);
        self::assertCount(5, $browser->visit()->session);
    }

    public function testHandlerThatSymfonyOnlyWritesToHasTheSameSessions(): void
    {
        $browser = $this->browser(ini: ['environment' => 'mirror']);
        self::assertNull($browser->visit(['set', 'a', 1])->error);
        $old = $browser->cookie;
        self::assertSame(['PUT /session'], $browser->visit(['set', 'a', 2])->calls);
        self::assertNull($browser->visit(['migrate', true])->error);
        $browser->ini = [];
        self::assertSame(['a' => 2], $browser->visit()->session);
        $browser->cookie = $old;
        self::assertSame([], $browser->visit()->session);
    }
}
