<?php

declare(strict_types=1);

namespace SessionApi\Laravel\Tests;

use SessionApi\Tests\Browser;

/** What the client guarantees when pages run in parallel and calls fail. */
final class GuaranteesTest extends TestCase
{
    public function testUnreachableApiIsNotAnEmptySession(): void
    {
        $browser = $this->browser();
        $browser->visit(['set', 'a', 1]);
        $cookie = $browser->cookie;
        $browser->options = ['function_urls' => null, 'url' => 'http://127.0.0.1:1', 'retries' => 0];
        $page = $browser->visit(['set', 'a', 2]);
        self::assertStringStartsWith('SessionApi\Unavailable: The session API at http://127.0.0.1:1', $page->error);
        self::assertNull($page->cookie);
        $browser->options = [];
        self::assertSame(['a' => 1], $browser->visit()->session);
        self::assertSame($cookie, $browser->cookie);
    }

    public function testFailedWriteFailsThePage(): void
    {
        $browser = $this->browser(['retries' => 0]);
        $browser->visit(['set', 'a', 1]);
        $page = $browser->loseResponse('PUT /session')->visit(['set', 'a', 2]);
        self::assertSame('SessionApi\Unavailable: the response was lost', $page->error);
        $browser->options = [];
        $page = $browser->loseResponse('PUT /session')->visit(['set', 'a', 3]);
        self::assertNull($page->error);
        self::assertSame(['GET /session', 'PUT /session', 'PUT /session'], $page->calls);
    }

    public function testParallelPagesKeepAllKeys(): void
    {
        // Laravel 8 always uses PHP's serialization.
        foreach (['php', 'json'] as $serialization) {
            $browser = $this->browser(ini: ['serialization' => $serialization]);
            $browser->visit(['set', 'start', 1], ['set', 'gone', 1]);
            $pages = [[['unset', 'gone']]];
            for ($n = 0; $n < 8; ++$n) {
                $pages[] = [['sleep', 50], ['set', "key$n", ['n' => $n]]];
            }
            foreach ($browser->visitAtOnce($pages) as $page) {
                self::assertNull($page->error);
            }
            $session = $browser->visit()->session;
            self::assertCount(9, $session);
            self::assertArrayNotHasKey('gone', $session);
        }
    }

    public function testBlockingPagesCountCorrectly(): void
    {
        $browser = $this->browser();
        $browser->path = '/blocked';
        $browser->visit(['set', 'n', 0]);
        foreach ($browser->visitAtOnce(array_fill(0, 8, [['increment', 'n']])) as $page) {
            self::assertNull($page->error);
        }
        self::assertSame(['n' => 8], $browser->visit()->session);
    }

    public function testPageThatDoesNotGetTheLockFailsAndChangesNothing(): void
    {
        [$browser, $errors] = $this->collide(function (): Browser {
            $browser = $this->browser();
            $browser->path = '/impatient';

            return $browser;
        });
        self::assertCount(1, $errors);
        self::assertStringStartsWith('Illuminate\Contracts\Cache\LockTimeoutException', $errors[0]);
        self::assertSame(['n' => 1], $browser->visit()->session);
    }

    public function testSlowPageDoesNotUndoALogout(): void
    {
        foreach ([['set', 'a', 2], ['regenerate', true], ['set', 'a', 1]] as $last) {
            [$slow, $logout, $cookie] = $this->race(['touch_after' => 0], $last, ['invalidate'], ['save']);
            self::assertNull($logout->error);
            self::assertNull($slow->error);
            foreach ([$cookie, $slow->cookie, $logout->cookie] as $id) {
                $browser = $this->browser();
                $browser->cookie = $id;
                self::assertSame([], $browser->visit()->session);
            }
        }
    }

    public function testSessionThatTheAppDestroysByItsIdIsGone(): void
    {
        $browser = $this->browser();
        $browser->visit(['set', 'a', 1]);
        self::assertSame(['GET /session', 'DELETE /session'], $browser->visit(['destroyOwn'])->calls);
        self::assertSame([], $browser->visit()->session);
        $browser->visit(['set', 'a', 1]);
        $page = $browser->visit(['destroyOwn'], ['throw']);
        self::assertSame(['GET /session', 'DELETE /session'], $page->calls);
    }

    public function testUserEndsDevices(): void
    {
        $user = $this->user();
        [$phone, $laptop] = [$this->browser(), $this->browser()];
        $phone->visit(['login', $user], ['set', 'a', 1]);
        foreach (['logoutDevice', 'logoutOtherDevices', 'authLogoutOtherDevices', 'logoutEverywhere'] as $step) {
            $laptop->visit(['login', $user], ['set', 'a', 1]);
            $devices = $phone->visit(['devices'])->results[0];
            self::assertCount(2, $devices);
            [$other] = array_values(array_filter($devices, fn ($device) => !$device['current']));
            self::assertNull($phone->visit([$step, $other['handle']])->error);
            self::assertSame([], $laptop->visit()->session, $step);
            $expected = $step === 'logoutEverywhere' ? [] : ['a' => 1];
            self::assertSame($expected, $phone->visit()->session, $step);
        }
    }

    public function testEncryptedSessionsWork(): void
    {
        $browser = $this->browser(ini: ['encrypt' => '1']);
        $browser->visit(['flash', 'a', 'ü'], ['set', 'b', "\0"]);
        self::assertSame('ü', $browser->visit()->session['a']);
        self::assertArrayNotHasKey('a', $browser->visit()->session);
    }

    public function testAppMayReadAndWriteOtherSessions(): void
    {
        [$ada, $visitor] = [$this->browser(ini: ['serialization' => 'php']), $this->browser()];
        $ada->visit(['set', 'cart', 'gold'], ['login', $this->user()]);
        $visitor->visit(['set', 'a', 1]);
        foreach ([$visitor, $this->browser()] as $browser) {
            $page = $browser->visit(['set', 'b', 1], ['read', $ada->cookie]);
            self::assertNull($page->error);
            self::assertSame('gold', unserialize($page->results[1])['cart']);
            self::assertSame($page->session, $browser->visit()->session);
            self::assertStringContainsString('nobody is logged in', $browser->visit(['devices'])->error);
            self::assertSame(['cart' => 'gold'], $ada->visit()->session);
        }
        $visitor->visit(['write', $ada->cookie, ['cart' => 'apple']]);
        self::assertSame(['cart' => 'apple'], $ada->visit()->session);
        $visitor->visit(['end', $ada->cookie]);
        self::assertSame([], $ada->visit()->session);
        self::assertSame(['a' => 1, 'b' => 1], $visitor->visit()->session);
    }

    public function testReadingAnotherSessionDoesNotUndoALogout(): void
    {
        foreach ([['start'], ['read', str_repeat('a', 40)]] as $step) {
            $browser = $this->browser();
            $browser->visit(['set', 'a', 1], ['login', $user = $this->user()]);
            $old = $browser->cookie;
            self::assertNull($browser->visit(['logout'], ['invalidate'], $step, ['set', 'b', 1])->error);
            self::assertSame(['b' => 1], $browser->visit()->session);
            $browser->visit(['login', $user], $step);
            self::assertCount(1, $browser->visit(['devices'])->results[0]);
            $browser->cookie = $old;
            self::assertSame([], $browser->visit()->session);
        }
    }

    public function testMiddlewareMaySwitchToAnotherSession(): void
    {
        $browser = $this->browser();
        $browser->visit(['set', 'a', 1]);
        $other = $this->browser(ini: ['id' => $browser->cookie]);
        $other->path = '/switch';
        self::assertSame(['a' => 1], $other->visit()->session);
    }

    public function testRoutesWithAnotherGuardDoNotRenameUsers(): void
    {
        $id = $this->user();
        [$customer, $admin, $other] = [$this->browser(), $this->browser(), $this->browser()];
        $customer->visit(['login', $id]);
        foreach ([$admin, $other] as $browser) {
            $browser->visit(['login', $id, 'admin']);
        }
        self::assertNull($admin->visit(['shouldUse', 'admin'], ['authLogoutOtherDevices'])->error);
        self::assertCount(1, $customer->visit(['devices'])->results[0]);
        self::assertCount(1, $admin->visit(['devices'])->results[0]);
        self::assertStringContainsString('nobody is logged in', $other->visit(['devices'])->error);
    }

    public function testRememberedDevicesDoNotComeBack(): void
    {
        foreach (['logoutDevice', 'logoutOtherDevices', 'authLogoutOtherDevices', 'logoutEverywhere'] as $step) {
            $user = $this->user();
            [$here, $phone] = [$this->browser(), $this->browser()];
            $here->visit(['remember', $user]);
            $phone->visit(['remember', $user]);
            $phone->visit();
            self::assertNotSame([], $phone->cookies);
            $handles = array_column($here->visit(['devices'])->results[0], 'handle', 'current');
            self::assertNull($here->visit([$step, $handles[false]])->error);
            self::assertSame([null], $phone->visit(['user'])->results, $step);
            $here->cookie = null;
            self::assertSame([$step === 'logoutEverywhere' ? null : $user], $here->visit(['user'])->results, $step);
        }
    }

    public function testSessionAfterALogoutEverywhereIsNew(): void
    {
        $browser = $this->browser();
        $browser->visit(['set', 'a', 1], ['login', $this->user()]);
        $page = $browser->visit(['logoutEverywhere'], ['logout'], ['invalidate'], ['flash', 'status', 'bye']);
        self::assertNull($page->error);
        self::assertSame(['status' => 'bye'], $browser->visit()->session);
        self::assertSame([], $browser->visit()->session);
    }

    public function testLockThatCannotLastIsRefused(): void
    {
        $browser = $this->browser();
        $browser->path = '/long';
        self::assertStringContainsString('1 to 60 s, and ->block() asks for 61 s', $browser->visit()->error);
    }

    public function testThirtyParallelPagesLoseNothing(): void
    {
        $browser = $this->browser();
        $browser->visit(['set', 'start', 1]);
        $pages = array_map(fn (int $n) => [['sleep', 100], ['set', "key$n", $n]], range(1, 30));
        foreach ($browser->visitAtOnce($pages) as $page) {
            self::assertNull($page->error);
        }
        self::assertCount(31, $browser->visit()->session);
    }

    public function testDeadIdDoesNotComeBack(): void
    {
        $lastSteps = [['set', 'b', 1], ['set', 'a', 1], ['regenerate', true], ['regenerate', false]];
        foreach ($lastSteps as $n => $last) {
            [$slow, $fast] = $this->race(['touch_after' => 0], $last, ['regenerate', $n % 2 === 0], ['save']);
            self::assertNull($slow->error);
            self::assertNull($slow->cookie);
            $browser = $this->browser();
            $browser->cookie = $fast->cookie;
            self::assertSame(['a' => 1], $browser->visit()->session);
        }
    }

    public function testIdentifiersMayBeObjectsOrMissing(): void
    {
        $browser = $this->browser();
        self::assertNull($browser->visit(['loginObject', $user = $this->user()])->error);
        self::assertCount(1, $browser->visit(['devices'])->results[0]);
        self::assertNull($browser->visit(['login', null])->error);
    }

    public function testAppsWithAnotherDriverAreLeftAlone(): void
    {
        $browser = $this->browser(['url' => null], ['driver' => 'array']);
        $page = $browser->visit(['login', 'ada'], ['authLogoutOtherDevices'], ['logout']);
        self::assertNull($page->error);
        self::assertSame([], $page->calls);
        self::assertStringContainsString('Set SESSION_DRIVER', $browser->visit(['devices'])->error);
    }

    public function testLoginEndsTheOldestSessionsAboveTheLimit(): void
    {
        $user = $this->user();
        [$old, $browser] = [$this->browser(), $this->browser(['max_sessions' => 1])];
        $old->visit(['login', $user]);
        $browser->visit(['set', 'a', 1]);
        $page = $browser->visit(['login', $user]);
        self::assertNull($page->error);
        self::assertSame(['GET /session', 'POST /session/rotate', 'DELETE /sessions'], $page->calls);
        self::assertSame([null], $old->visit(['user'])->results);
        self::assertSame([$user], $browser->visit(['user'])->results);
    }
}
