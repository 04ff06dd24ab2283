<?php

declare(strict_types=1);

namespace SessionApi\Laravel\Tests;

/** How many API calls each kind of page makes. */
final class CallsTest extends TestCase
{
    public function testNewSessionIsCreatedInOneCall(): void
    {
        foreach (['/', '/blocked'] as $path) {
            $browser = $this->browser();
            $browser->path = $path;
            $page = $browser->visit(['set', 'a', 1]);
            self::assertNull($page->error);
            self::assertMatchesRegularExpression('/^[A-Za-z0-9]{40}$/', $browser->cookie);
            self::assertSame(['PUT /session'], $page->calls);
            self::assertSame(['a' => 1], $browser->visit()->session);
        }
    }

    public function testUnchangedPageMakesOneCall(): void
    {
        $browser = $this->browser();
        $browser->visit(['set', 'a', 1]);
        self::assertSame(['GET /session'], $browser->visit(['set', 'a', 1])->calls);
        $browser->options = ['touch_after' => 0];
        self::assertSame(['GET /session', 'POST /session/touch'], $browser->visit()->calls);
    }

    public function testChangedPageMakesTwoCalls(): void
    {
        $browser = $this->browser();
        $browser->visit(['set', 'a', 1]);
        self::assertSame(['GET /session', 'PUT /session'], $browser->visit(['set', 'a', 2])->calls);
        self::assertSame(['a' => 2], $browser->visit()->session);
        $page = $browser->visit(['set', 'a', 3], ['save'], ['set', 'b', 4]);
        self::assertSame(['GET /session', 'PUT /session', 'PUT /session'], $page->calls);
        self::assertSame(['a' => 3, 'b' => 4], $browser->visit()->session);
    }

    public function testUrlOfTheLastPageIsWrittenUnlessTheAppDoesNotNeedIt(): void
    {
        foreach ([[[], 2], [['store_previous_url' => false], 1]] as [$options, $calls]) {
            $browser = $this->browser($options);
            $browser->visit(['set', 'a', 1], ['set', '_previous', ['url' => 'http://localhost/first']]);
            $other = ['set', '_previous', ['url' => 'http://localhost/second']];
            self::assertCount($calls, $browser->visit($other)->calls);
            self::assertCount(2, $browser->visit(['set', 'a', 2], ['set', '_previous', ['url' => '/third']])->calls);
            self::assertSame(['a' => 2], $browser->visit()->session);
            self::assertSame('/third', $browser->visit(['flashes', '_previous.url'])->results[0]);
        }
    }

    public function testBlockingPageMakesTwoCalls(): void
    {
        $browser = $this->browser();
        $browser->path = '/blocked';
        $browser->visit(['set', 'a', 1]);
        self::assertSame(['POST /session/lock', 'PUT /session'], $browser->visit(['set', 'a', 2])->calls);
        self::assertSame(['POST /session/lock', 'DELETE /session/lock'], $browser->visit()->calls);
        self::assertSame(['POST /session/lock', 'DELETE /session/lock'], $browser->visit(['throw'])->calls);
        $page = $browser->visit(['regenerate', true]);
        self::assertSame(['POST /session/lock', 'POST /session/rotate', 'DELETE /session/lock'], $page->calls);
        self::assertSame(['a' => 2], $browser->visit()->session);
    }

    public function testNewIdTakesOneCall(): void
    {
        foreach (['migrate', 'regenerate'] as $step) {
            foreach ([false, true] as $destroysOld) {
                $browser = $this->browser();
                $browser->visit(['set', 'a', 1]);
                $old = $browser->cookie;
                $page = $browser->visit(['set', 'b', 2], [$step, $destroysOld]);
                self::assertSame(['GET /session', 'POST /session/rotate'], $page->calls);
                self::assertNotSame($old, $browser->cookie);
                self::assertSame(['a' => 1, 'b' => 2], $browser->visit()->session);
                $browser->cookie = $old;
                $expected = $destroysOld ? [] : ['a' => 1];
                self::assertSame($expected, $browser->visit()->session, 'the old id stays readable for a while');
            }
        }
    }

    public function testInvalidatedSessionLeavesNoData(): void
    {
        $browser = $this->browser();
        $browser->visit(['set', 'a', 1]);
        $old = $browser->cookie;
        self::assertSame(['GET /session', 'POST /session/rotate'], $browser->visit(['invalidate'])->calls);
        foreach ([$old, $browser->cookie] as $cookie) {
            $browser->cookie = $cookie;
            self::assertSame([], $browser->visit()->session);
        }
    }

    public function testLoginAndLogoutSetAndRemoveTheOwner(): void
    {
        $user = $this->user();
        $browser = $this->browser(agent: 'Opera ü');
        $browser->visit(['set', 'a', 1]);
        $page = $browser->visit(['login', $user]);
        self::assertSame(['GET /session', 'POST /session/rotate'], $page->calls);
        $page = $browser->visit(['user'], ['devices']);
        self::assertSame(['GET /session', 'GET /sessions'], $page->calls);
        self::assertSame($user, $page->results[0]);
        self::assertSame([['Opera ü', true]], array_map(fn ($d) => [$d['label'], $d['current']], $page->results[1]));
        $other = $this->browser();
        self::assertSame(['PUT /session'], $other->visit(['login', $user])->calls);
        self::assertCount(2, $browser->visit(['devices'])->results[0]);
        self::assertSame(['GET /session', 'PUT /session'], $other->visit(['logout'])->calls);
        self::assertCount(1, $browser->visit(['devices'])->results[0]);
        self::assertSame(['GET /session', 'POST /session/rotate'], $browser->visit(['logout'], ['invalidate'])->calls);
        $browser->visit(['login', $user]);
        self::assertCount(1, $browser->visit(['devices'])->results[0]);
        $browser->visit(['login', $user, 'admin']);
        $other->visit(['login', $user]);
        self::assertCount(1, $other->visit(['devices'])->results[0], 'the admin with that name is another user');
    }

    public function testLogoutLeavesTheSessionToTheUserOfAnotherGuard(): void
    {
        $user = $this->user();
        $browser = $this->browser();
        $browser->visit(['login', $user], ['login', 'root', 'admin']);
        self::assertNull($browser->visit(['logout', null, 'admin'])->error);
        self::assertCount(1, $browser->visit(['devices'])->results[0]);
        $browser->visit(['logout']);
        $browser->visit(['login', $user], ['login', 'root', 'admin'], ['logout']);
        self::assertSame([true], array_column($browser->visit(['devices'])->results[0], 'current'));
        $browser->visit(['logout', null, 'admin']);
        self::assertStringContainsString('no owner', $browser->visit(['devices'])->error);
    }
}
