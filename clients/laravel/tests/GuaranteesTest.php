<?php

declare(strict_types=1);

namespace SessionApi\Laravel\Tests;

use SessionApi\Tests\Browser;

/** The guarantees of the client, under parallel pages and failures. */
final class GuaranteesTest extends TestCase
{
    public function testUnreachableApiIsNotAnEmptySession(): void
    {
        $browser = $this->browser();
        $browser->visit(['set', 'a', 1]);
        $cookie = $browser->cookie;
        $browser->options = ['url' => 'http://127.0.0.1:1', 'retries' => 0];
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

    public function testParallelPagesLoseNoKey(): void
    {
        $browser = $this->browser();
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

    public function testBlockingPagesCountRight(): void
    {
        $browser = $this->browser();
        $browser->path = '/blocked';
        $browser->visit(['set', 'n', 0]);
        foreach ($browser->visitAtOnce(array_fill(0, 8, [['increment', 'n']])) as $page) {
            self::assertNull($page->error);
        }
        self::assertSame(['n' => 8], $browser->visit()->session);
    }

    public function testPageThatWaitedInVainFails(): void
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

    public function testLogoutIsNotUndoneByASlowPage(): void
    {
        foreach ([['set', 'a', 2], ['regenerate', true], ['set', 'a', 1]] as $last) {
            [$slow, $logout, $cookie] = $this->race(['touch_after' => 0], $last, ['invalidate']);
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
}
