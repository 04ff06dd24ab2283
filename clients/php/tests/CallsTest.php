<?php

declare(strict_types=1);

namespace SessionApi\Tests;

/** How many API calls each kind of page makes. */
class CallsTest extends TestCase
{
    public function testVisitorWithoutDataMakesNoCallsAndGetsNoCookie(): void
    {
        $browser = $this->browser();
        foreach ([[], [['close']], [['close'], ['start']], [['set', 'a', 1], ['unset', 'a']]] as $steps) {
            $page = $browser->visit(['buffer'], ...$steps);
            self::assertSame([[], null], [$page->calls, $page->cookie]);
        }
    }

    public function testPageThatStoresSomethingLaterKeepsItsCookie(): void
    {
        foreach ([[['close'], ['start'], ['set', 'a', 1]], [['set', 'a', 1], ['regenerate', true]]] as $steps) {
            $browser = $this->browser();
            self::assertMatchesRegularExpression('/^[0-9a-f]{64}$/', $browser->visit(['buffer'], ...$steps)->cookie);
            self::assertSame(['a' => 1], $browser->visit()->session);
        }
    }

    public function testPageWhoseFirstWriteMayHaveBeenAppliedKeepsItsCookie(): void
    {
        $browser = $this->browser(['retries' => 0]);
        $page = $browser->loseResponse('PUT /session')->visit(['buffer'], ['close'], ['start'], ['set', 'a', 1]);
        self::assertMatchesRegularExpression('/^[0-9a-f]{64}$/', $page->cookie);
        self::assertSame(['a' => 1], $browser->visit()->session);
    }

    public function testNewSessionIsCreatedInOneCall(): void
    {
        $browser = $this->browser();
        self::assertSame(['PUT /session'], $browser->visit(['set', 'a', 1])->calls);
        $page = $browser->visit();
        self::assertSame(['a' => 1], $page->session);
        self::assertNull($page->cookie, 'the cookie stays');
    }

    public function testUnchangedPageMakesOneCall(): void
    {
        foreach (['php', 'php_serialize'] as $serializer) {
            $browser = $this->browser(ini: ['session.serialize_handler' => $serializer]);
            $browser->visit(['set', 'a', 1]);
            self::assertSame(['GET /session'], $browser->visit(['set', 'a', 1])->calls);
        }
    }

    public function testUnchangedSessionIsTouchedWhenEnoughTimeHasPassed(): void
    {
        $browser = $this->browser(['ttl' => 1000]);
        $browser->visit(['set', 'a', 1]);
        $browser->options = ['ttl' => 1060, 'touch_after' => 160];
        self::assertSame(['GET /session'], $browser->visit()->calls);
        $browser->options = ['ttl' => 1060, 'touch_after' => 60];
        self::assertSame(['GET /session', 'POST /session/touch'], $browser->visit()->calls);
        self::assertSame(['GET /session'], $browser->visit()->calls, 'the expiry has slid');
    }

    public function testPagesAtTheSameTimeTouchASessionOnce(): void
    {
        $browser = $this->browser(['ttl' => 1000]);
        $browser->visit(['set', 'a', 1]);
        $browser->options = ['ttl' => 1060, 'touch_after' => 60];
        $pages = $browser->visitAtOnce(array_fill(0, 5, [['sleep', 200]]));
        $calls = array_merge(...array_column($pages, 'calls'));
        self::assertCount(1, array_keys($calls, 'POST /session/touch', true));
    }

    public function testChangedPageMakesTwoCalls(): void
    {
        $browser = $this->browser();
        $browser->visit(['set', 'a', 1]);
        self::assertSame(['GET /session', 'PUT /session'], $browser->visit(['set', 'a', 2])->calls);
        self::assertSame(['a' => 2], $browser->visit()->session);
    }

    public function testLockedPageMakesTwoCalls(): void
    {
        $browser = $this->browser(['lock' => 10]);
        $browser->visit(['set', 'a', 1]);
        self::assertSame(['POST /session/lock', 'PUT /session'], $browser->visit(['set', 'a', 2])->calls);
        self::assertSame(['POST /session/lock', 'DELETE /session/lock'], $browser->visit()->calls);
        self::assertSame(['POST /session/lock', 'DELETE /session/lock'], $browser->visit(['abort'])->calls);
    }

    public function testRegeneratingTheIdTakesOneMoreCall(): void
    {
        foreach ([true, false] as $deletesOld) {
            foreach ([[], ['lock' => 10]] as $options) {
                $browser = $this->browser($options);
                $browser->visit(['set', 'a', 1]);
                $old = $browser->cookie;
                $page = $browser->visit(['set', 'b', 2], ['regenerate', $deletesOld]);
                self::assertSame([true], array_slice($page->results, 1));
                $expected = $options === []
                    ? ['GET /session', 'POST /session/rotate']
                    : ['POST /session/lock', 'POST /session/rotate', 'DELETE /session/lock'];
                self::assertSame($expected, $page->calls);
                self::assertNotSame($old, $browser->cookie);
                self::assertSame(['a' => 1, 'b' => 2], $browser->visit()->session);
                $browser->options = [];
                $browser->cookie = $old;
                $expected = $deletesOld ? [] : ['a' => 1];
                self::assertSame($expected, $browser->visit()->session, 'the old id stays readable for a while');
            }
        }
    }

    public function testChangeAfterRegeneratingTheIdIsWritten(): void
    {
        $browser = $this->browser();
        $browser->visit(['set', 'a', 1]);
        $page = $browser->visit(['regenerate', true], ['set', 'a', 2]);
        self::assertSame(['GET /session', 'POST /session/rotate', 'PUT /session'], $page->calls);
        self::assertSame(['a' => 2], $browser->visit()->session);
    }

    public function testNewSessionWithARegeneratedIdMakesOneCall(): void
    {
        $browser = $this->browser();
        $page = $browser->visit(['set', 'a', 1], ['regenerate', true]);
        self::assertSame(['PUT /session'], $page->calls);
        self::assertSame(['a' => 1], $browser->visit()->session);
    }

    public function testEmptiedSessionDoesNotComeBackUnderARegeneratedId(): void
    {
        $browser = $this->browser();
        $browser->visit(['set', 'a', 1]);
        $page = $browser->visit(['empty'], ['regenerate', true]);
        self::assertSame(['GET /session', 'DELETE /session'], $page->calls);
        self::assertSame([], $browser->visit()->session);
    }

    public function testDestroyedSessionTakesTwoCalls(): void
    {
        $browser = $this->browser();
        $browser->visit(['set', 'a', 1]);
        self::assertSame(['GET /session', 'DELETE /session'], $browser->visit(['destroy'])->calls);
        $page = $browser->visit();
        self::assertSame(['GET /session'], $page->calls);
        self::assertSame([], $page->session);
        self::assertNotSame($browser->cookie, $page->id, 'an unknown id is replaced');
        self::assertSame([], $this->browser()->visit(['destroy'])->calls, 'the API has never seen the new session');
    }

    public function testLoginTakesOneCall(): void
    {
        $user = $this->user();
        $browser = $this->browser();
        $browser->visit(['set', 'a', 1]);
        $page = $browser->visit(['set', 'user', 'ada'], ['login', $user]);
        self::assertSame(['GET /session', 'POST /session/rotate'], $page->calls);
        $page = $browser->visit(['devices']);
        self::assertSame(['GET /session', 'GET /sessions'], $page->calls);
        self::assertCount(1, $page->results[0]);
        self::assertSame(['PUT /session'], $this->browser()->visit(['login', $user], ['set', 'a', 1])->calls);
        self::assertCount(2, $browser->visit(['devices'])->results[0]);
        $other = $this->browser();
        self::assertSame(['PUT /session'], $other->visit(['login', $user])->calls, 'an owner is worth storing');
        self::assertCount(3, $other->visit(['devices'])->results[0]);
    }

    public function testCookieThatIsNotAValidIdMakesNoCalls(): void
    {
        $browser = $this->browser();
        foreach (['', 'short', str_repeat('a', 21), str_repeat('a', 129), 'ä' . str_repeat('a', 30)] as $cookie) {
            $browser->cookie = rawurlencode($cookie);
            $page = $browser->visit();
            self::assertSame([], $page->calls, $cookie);
            self::assertMatchesRegularExpression('/^[0-9a-f]{64}$/', $page->id);
        }
        foreach (range(22, 128) as $length) {
            $browser->cookie = substr(str_repeat('aZ9-', 32), 0, $length);
            self::assertSame(['GET /session'], $browser->visit()->calls);
        }
    }

    public function testEachStartOfASessionLoadsIt(): void
    {
        $page = $this->browser()->visit(['set', 'a', 1], ['close'], ['start']);
        self::assertSame(['PUT /session', 'GET /session'], $page->calls, 'an id is only new once');
        self::assertSame(['a' => 1], $page->session);
        $browser = $this->browser();
        $browser->visit(['set', 'a', 1]);
        $page = $browser->visit(['close'], ['start'], ['set', 'a', 2]);
        self::assertSame(['GET /session', 'GET /session', 'PUT /session'], $page->calls);
    }

    public function testSessionWithNothingInItIsNotStored(): void
    {
        foreach (['php', 'php_serialize', 'igbinary'] as $serializer) {
            $browser = $this->browser(ini: ['session.serialize_handler' => $serializer]);
            self::assertSame([], $browser->visit()->calls, $serializer);
        }
    }

    public function testShorterLifetimeReachesUnchangedSessions(): void
    {
        $browser = $this->browser(['ttl' => 10_000]);
        $browser->visit(['set', 'a', 1]);
        $browser->options = ['ttl' => 1000];
        self::assertSame(['GET /session', 'POST /session/touch'], $browser->visit()->calls);
        self::assertSame(['GET /session'], $browser->visit()->calls);
    }

    public function testExpiryDoesNotSlideOnEachPageIfTheLifetimeIsAboveTheApisLimit(): void
    {
        $browser = $this->browser(['ttl' => 10 * 365 * 86400]);
        $browser->visit(['set', 'a', 1]);
        self::assertSame(['GET /session'], $browser->visit()->calls);
    }

    public function testSessionThatIsResetKeepsItsLock(): void
    {
        $browser = $this->browser(['lock' => 1]);
        $browser->visit(['set', 'a', 1]);
        $page = $browser->visit(['set', 'a', 2], ['reset']);
        self::assertNull($page->error);
        self::assertSame(['POST /session/lock', 'DELETE /session/lock'], $page->calls);
        self::assertSame(['a' => 1], $page->session);
    }

    public function testLoginEndsTheOldestSessionsAboveTheLimit(): void
    {
        $user = $this->user();
        $browsers = [$this->browser(), $this->browser(['max_sessions' => 1])];
        $browsers[0]->visit(['set', 'a', 1], ['login', $user]);
        $browsers[1]->visit(['set', 'a', 1]);
        $page = $browsers[1]->visit(['login', $user]);
        self::assertSame(['GET /session', 'POST /session/rotate', 'DELETE /sessions'], $page->calls);
        self::assertSame([], $page->warnings);
        self::assertSame([], $browsers[0]->visit()->session);
        self::assertSame(['GET /session', 'PUT /session'], $browsers[1]->visit(['set', 'a', 2])->calls);
    }

    public function testFailureToLimitSessionsIsAWarning(): void
    {
        $user = $this->user();
        $browser = $this->browser(['max_sessions' => 1, 'retries' => 0]);
        $page = $browser->loseResponse('DELETE /sessions')->visit(['set', 'a', 1], ['login', $user]);
        self::assertSame(['PUT /session', 'DELETE /sessions'], $page->calls);
        self::assertSame(["The user's oldest sessions were not ended: the response was lost"], $page->warnings);
        self::assertCount(1, $browser->visit(['devices'])->results[0]);
    }
}
