<?php

declare(strict_types=1);

namespace SessionApi\Tests;

use PHPUnit\Framework\Attributes\DataProvider;

/** What the client guarantees when pages run in parallel and calls fail. */
class GuaranteesTest extends TestCase
{
    public function testUnreachableApiIsNotAnEmptySession(): void
    {
        $browser = $this->browser();
        $browser->visit(['set', 'a', 1]);
        $cookie = $browser->cookie;
        $browser->options = ['url' => 'http://127.0.0.1:1', 'retries' => 0];
        $page = $browser->visit(['set', 'a', 2]);
        self::assertStringStartsWith('SessionApi\Unavailable: The session API at http://127.0.0.1:1', $page->error);
        self::assertFalse($page->isActive);
        self::assertNull($page->cookie);
        $browser->options = [];
        self::assertSame(['a' => 1], $browser->visit()->session);
        self::assertSame($cookie, $browser->cookie);
    }

    public function testResponseOfAnotherServerIsNotAnEmptySession(): void
    {
        $other = new Server(['-S', 'ADDRESS', '-t', __DIR__ . '/app']);
        $browser = $this->browser(['url' => $other->url]);
        $browser->cookie = str_repeat('a', 64);
        $page = $browser->visit(['set', 'a', 2]);
        self::assertStringContainsString('Unavailable', $page->error);
        self::assertFalse($page->isActive);
        $other->stop();
    }

    public function testFailedWriteIsAWarning(): void
    {
        $browser = $this->browser(['retries' => 0]);
        $browser->visit(['set', 'a', 1]);
        $page = $browser->loseResponse('PUT /session')->visit(['set', 'a', 2]);
        self::assertStringContainsString('The session was not written: the response was lost', $page->warnings[0]);
        self::assertNull($page->error, 'the page still works');
    }

    public function testLostResponsesAreRetriedWithTheSameEffect(): void
    {
        $browser = $this->browser();
        $page = $browser->loseResponse('PUT /session')->visit(['set', 'a', 1]);
        self::assertSame(['PUT /session', 'PUT /session'], $page->calls);
        self::assertSame([], $page->warnings);
        $page = $browser->loseResponse('PUT /session')->visit(['set', 'a', 2]);
        self::assertSame(['GET /session', 'PUT /session', 'PUT /session'], $page->calls);
        $page = $browser->loseResponse('POST /session/rotate')->visit(['regenerate', true]);
        self::assertSame([true], $page->results);
        self::assertSame(['a' => 2], $browser->visit()->session);
        $browser->options = ['lock' => 1];
        $page = $browser->loseResponse('POST /session/lock')->visit(['set', 'a', 3]);
        self::assertSame(['POST /session/lock', 'POST /session/lock', 'PUT /session'], $page->calls);
        $page = $browser->loseResponse('DELETE /session/lock')->visit(['abort']);
        self::assertSame(['POST /session/lock', 'DELETE /session/lock', 'DELETE /session/lock'], $page->calls);
        $browser->options = ['touch_after' => 0];
        $page = $browser->loseResponse('POST /session/touch')->visit();
        self::assertSame(['GET /session', 'POST /session/touch', 'POST /session/touch'], $page->calls);
        $page = $browser->loseResponse('DELETE /session')->visit(['destroy']);
        self::assertSame([true], $page->results);
        self::assertSame([], $browser->visit()->session);
    }

    public function testLostResponsesOfUserRoutesAreRetried(): void
    {
        $user = $this->user();
        [$browser, $other] = [$this->browser(), $this->browser()];
        foreach ([$browser, $other] as $device) {
            $device->visit(['set', 'a', 1], ['login', $user]);
        }
        [$devices] = $browser->loseResponse('GET /sessions')->visit(['devices'])->results;
        self::assertSame([false, true], array_column($devices, 'current'));
        $path = "/sessions/{$devices[0]['handle']}";
        $page = $browser->loseResponse("DELETE $path")->visit(['logoutDevice', $devices[0]['handle']]);
        self::assertSame(['GET /session', "DELETE $path", "DELETE $path"], $page->calls);
        self::assertSame([true], $page->results);
        self::assertSame([], $other->visit()->session);
        $page = $browser->loseResponse('DELETE /sessions')->visit(['logoutOtherDevices']);
        self::assertSame(['GET /session', 'DELETE /sessions', 'DELETE /sessions'], $page->calls);
        $browser->loseResponse('DELETE /sessions')->visit(['logoutEverywhere']);
        self::assertSame([], $browser->visit()->session);
    }

    /** @dataProvider serializers */
    #[DataProvider('serializers')]
    public function testParallelPagesKeepAllKeys(string $serializer): void
    {
        $browser = $this->browser(ini: ['session.serialize_handler' => $serializer]);
        $browser->visit(['set', 'start', 1], ['set', 'gone', 1]);
        $pages = [[['unset', 'gone']]];
        for ($n = 0; $n < 8; ++$n) {
            $pages[] = [['sleep', 50], ['set', "key$n", ['n' => $n]]];
        }
        foreach ($browser->visitAtOnce($pages) as $page) {
            self::assertSame([], $page->warnings);
        }
        $session = $browser->visit()->session;
        self::assertCount(9, $session);
        self::assertArrayNotHasKey('gone', $session);
    }

    /** @return list<array{string}> */
    public static function serializers(): array
    {
        return [['php'], ['php_serialize']];
    }

    public function testParallelPagesWithTheLockCountCorrectly(): void
    {
        $browser = $this->browser(['lock' => 10]);
        $browser->visit(['set', 'n', 0]);
        foreach ($browser->visitAtOnce(array_fill(0, 8, [['increment', 'n']])) as $page) {
            self::assertNull($page->error);
        }
        self::assertSame(['n' => 8], $browser->visit()->session);
    }

    public function testPageThatDoesNotGetTheLockFailsAndChangesNothing(): void
    {
        [$browser, $errors] = $this->collide(fn () => $this->browser(['lock' => 0]));
        self::assertCount(1, $errors);
        self::assertStringStartsWith('SessionApi\Locked', $errors[0]);
        self::assertSame(['n' => 1], $browser->visit()->session);
    }

    public function testSlowPageDoesNotUndoALogout(): void
    {
        foreach ([['set', 'a', 2], ['regenerate', true], ['set', 'a', 1]] as $last) {
            [$slow, $logout, $cookie] = $this->race(['touch_after' => 0], $last, ['destroy']);
            self::assertNull($logout->error);
            self::assertNull($slow->error);
            foreach ([$cookie, $slow->cookie ?? $cookie] as $id) {
                $browser = $this->browser();
                $browser->cookie = $id;
                self::assertSame([], $browser->visit()->session);
            }
        }
    }

    public function testUserListsAndEndsDevices(): void
    {
        $user = $this->user();
        $phone = $this->browser(agent: 'Phone 1 / ü');
        $laptop = $this->browser(agent: str_repeat('Läptop', 60));
        $phone->visit(['login', $user], ['set', 'user', 'ada']);
        $laptop->visit(['set', 'a', 1]);
        $laptop->visit(['login', $user]);
        $devices = $phone->visit(['devices'])->results[0];
        self::assertCount(2, $devices);
        $phones = array_filter($devices, fn ($device) => $device['label'] === 'Phone 1 / ü');
        self::assertSame([true], array_column($phones, 'current'));
        [$other] = array_values(array_filter($devices, fn ($device) => !$device['current']));
        self::assertSame(str_repeat('Läptop', 23) . 'L', $other['label']);

        self::assertSame([true], $phone->visit(['logoutDevice', $other['handle']])->results);
        self::assertSame([], $laptop->visit()->session);
        self::assertSame([false], $phone->visit(['logoutDevice', $other['handle']])->results);
        $laptop->visit(['login', $user], ['set', 'a', 1]);
        self::assertSame([1], $phone->visit(['logoutOtherDevices'])->results);
        self::assertSame([], $laptop->visit()->session);
        self::assertSame(['user' => 'ada'], $phone->visit()->session);
        $laptop->visit(['login', $user], ['set', 'a', 1]);
        $page = $phone->visit(['logoutEverywhere']);
        self::assertSame([2], $page->results);
        self::assertSame(['GET /session', 'DELETE /sessions'], $page->calls);
        self::assertSame([], $phone->visit()->session);
        self::assertSame([], $laptop->visit()->session);
    }

    /** @dataProvider allSerializers */
    #[DataProvider('allSerializers')]
    public function testBinaryDataComesBackUnchanged(string $serializer): void
    {
        $browser = $this->browser(ini: ['session.serialize_handler' => $serializer]);
        $written = $browser->visit(['binary', 'a', 300_000], ['hash'])->results[1];
        self::assertSame([$written], $browser->visit(['hash'])->results);
        $page = $browser->visit(['binary', 'a', 600_000]);
        self::assertStringContainsString('413', $page->warnings[0]);
        self::assertSame([$written], $browser->visit(['hash'])->results);
    }

    /** @return list<array{string}> */
    public static function allSerializers(): array
    {
        return [['php'], ['php_serialize'], ['php_binary']];
    }

    /** @dataProvider allStores */
    #[DataProvider('allStores')]
    public function testOldIdsEndWhenADecoratorMakesTheNewOnes(string $store): void
    {
        foreach ([[['empty']], [['set', 'b', 1]], []] as $steps) {
            $browser = $this->browser(['store' => $store, 'lock' => 5]);
            $browser->visit(['set', 'a', 1], ['login', $user = $this->user()]);
            $old = $browser->cookie;
            $page = $browser->visit(...$steps, ...[['regenerate', true]]);
            self::assertSame([], $page->warnings);
            self::assertNotSame($old, $page->id);
            self::assertSame($page->session, $browser->visit()->session);
            if ($page->session !== []) {
                self::assertCount(1, $browser->visit(['devices'])->results[0]);
            }
            $browser->cookie = $old;
            self::assertSame([], $browser->visit()->session);
        }
    }

    /** @return list<array{string}> */
    public static function allStores(): array
    {
        return [['api'], ['decorated']];
    }

    public function testAppMayReadAndWriteOtherSessions(): void
    {
        [$ada, $visitor] = [$this->browser(), $this->browser()];
        $ada->visit(['set', 'cart', 'gold'], ['login', $this->user()]);
        $visitor->visit(['set', 'a', 1]);
        foreach ([$visitor, $this->browser()] as $browser) {
            $page = $browser->visit(['set', 'b', 1], ['read', $ada->cookie], ['newId']);
            self::assertSame([], $page->warnings);
            self::assertSame('cart|s:4:"gold";', $page->results[1]);
            self::assertSame($page->session, $browser->visit()->session);
            self::assertStringContainsString('no owner', $browser->visit(['devices'])->error);
            self::assertSame(['cart' => 'gold'], $ada->visit()->session);
        }
        $visitor->visit(['write', $ada->cookie, 'cart|s:5:"apple";']);
        self::assertSame(['cart' => 'apple'], $ada->visit()->session);
        $visitor->visit(['end', $ada->cookie]);
        self::assertSame([], $ada->visit()->session);
        self::assertSame(['a' => 1, 'b' => 1], $visitor->visit()->session);
    }

    public function testReadingAnotherSessionDoesNotUndoALogout(): void
    {
        $browser = $this->browser();
        $browser->visit(['set', 'user', 'ada']);
        $old = $browser->cookie;
        $browser->visit(['empty'], ['regenerate', true], ['read', $old], ['set', 'a', 1]);
        self::assertSame(['a' => 1], $browser->visit()->session);
        $browser->cookie = $old;
        self::assertSame([], $browser->visit()->session);
    }

    public function testThirtyParallelPagesLoseNothing(): void
    {
        $browser = $this->browser();
        $browser->visit(['set', 'start', 1]);
        $pages = array_map(fn (int $n) => [['sleep', 100], ['set', "key$n", $n]], range(1, 30));
        foreach ($browser->visitAtOnce($pages) as $page) {
            self::assertSame([], $page->warnings);
        }
        self::assertCount(31, $browser->visit()->session);
    }

    /** @dataProvider serializers */
    #[DataProvider('serializers')]
    public function testObjectThatOccursTwiceIsMerged(string $serializer): void
    {
        $browser = $this->browser(ini: ['session.serialize_handler' => $serializer]);
        $browser->visit(['shared', 'items'], ['set', 'gone', [1]]);
        $pages = [[['sleep', 100], ['unset', 'gone']], [['sleep', 100], ['set', 'lang', 'de']]];
        $pages[] = [['sleep', 100], ['shared', 'more']];
        $browser->visitAtOnce($pages);
        self::assertEqualsCanonicalizing(['items', 'lang', 'more'], array_keys($browser->visit()->session));
    }

    public function testParallelNewIdsLeaveTheBrowserWithOneThatWorks(): void
    {
        foreach ([true, false] as $deletesOld) {
            $login = [['now'], ['sleep', 300], ['now'], ['regenerate', $deletesOld], ['set', 'user', 'ada']];
            $login[] = ['cookie', 'other', '1'];
            do {
                // A worker of PHP's built-in server may queue one page behind the other.
                $browser = $this->browser();
                $browser->visit(['set', 'cart', 'apple']);
                $pages = $browser->visitAtOnce([$login, $login]);
                [[$start, , $end], [$otherStart, , $otherEnd]] = array_column($pages, 'results');
            } while ($start > $otherEnd || $otherStart > $end);
            foreach ($pages as $page) {
                self::assertNull($page->error);
                self::assertSame(['other' => '1'], $page->cookies);
                if ($page->cookie !== null) {
                    $browser->cookie = $page->cookie;
                    self::assertSame(['cart' => 'apple', 'user' => 'ada'], $browser->visit()->session);
                }
            }
            self::assertNotSame([null, null], array_column($pages, 'cookie'));
        }
    }

    public function testValueThatCannotBeSerializedLeavesNoLock(): void
    {
        $browser = $this->browser(['lock' => 0]);
        $browser->visit(['set', 'a', 1]);
        self::assertStringContainsString('Closure', $browser->visit(['closeWithClosure'])->results[0]);
        self::assertSame(['a' => 1], $browser->visit()->session);
    }

    public function testDataThatLooksLikeAProblemIsData(): void
    {
        $browser = $this->browser();
        $browser->visit(['set', 'a', 1]);
        $data = '{"type":"urn:session-api:session-not-found"}';
        $results = $this->browser()->visit(['write', $browser->cookie, $data], ['read', $browser->cookie])->results;
        self::assertSame([true, $data], $results);
    }

    public function testFirstPageOfAUserCanUseDevices(): void
    {
        $steps = [['login', $this->user()], ['logoutOtherDevices'], ['devices'], ['logoutEverywhere']];
        $page = $this->browser()->visit(...$steps);
        self::assertSame([0, [], 0], array_slice($page->results, 1));
    }

    public function testLabelIsValidText(): void
    {
        $user = $this->user();
        $browser = $this->browser(agent: "Bad\xFC browser");
        $browser->visit(['login', $user]);
        self::assertSame(['Bad browser'], array_column($browser->visit(['devices'])->results[0], 'label'));
    }

    public function testEmptySessionThatIsStartedAgainKeepsItsCookie(): void
    {
        $reopen = [['close'], ['set ini', 'session.use_cookies', '0'], ['set ini', 'session.cache_limiter', '']];
        foreach ([$reopen, [['close']]] as $steps) {
            $browser = $this->browser();
            $browser->visit(...$steps, ...[['start'], ['set', 'cart', 'apple']]);
            self::assertSame(['cart' => 'apple'], $browser->visit()->session);
        }
    }
}
