<?php

declare(strict_types=1);

namespace SessionApi\Symfony\Tests;

final class UserTest extends TestCase
{
    public function testUserWhoLogsInOwnsTheSession(): void
    {
        $user = $this->user();
        foreach ([[], [['set', 'a', 1]]] as $before) {
            $browser = $this->browser();
            $browser->visit(...$before);
            $old = $browser->cookie;
            self::assertNull(self::login($browser, $user)->error);
            self::assertNotSame($old, $browser->cookie);
            self::assertSame($user, $browser->visit(['user'])->results[0]);
        }
        $devices = $browser->visit(['user'], ['devices'])->results[1];
        self::assertSame(['Firefox', 'Firefox'], array_column($devices, 'label'));
        self::assertSame([true, false], array_column($devices, 'current'));
    }

    public function testLoginCostsOneCallMoreThanANewId(): void
    {
        $browser = $this->browser();
        $browser->visit(['set', 'a', 1]);
        $calls = ['GET /session', 'POST /session/rotate', 'PUT /session'];
        self::assertSame($calls, self::login($browser, $this->user())->calls);
        self::assertSame(['GET /session'], $browser->visit(['user'])->calls);
    }

    public function testLogoutEndsTheSession(): void
    {
        [$user, $browser] = [$this->user(), $this->browser()];
        self::login($browser, $user);
        $old = $browser->cookie;
        self::assertSame(['GET /session', 'DELETE /session'], self::visit($browser, '/logout')->calls);
        self::assertSame('deleted', $browser->cookie);
        $browser->cookie = $old;
        self::assertNull($browser->visit(['user'])->results[0]);
        $other = $this->browser();
        self::login($other, $user);
        self::assertCount(1, $other->visit(['user'], ['devices'])->results[1]);
    }

    public function testSessionThatAUserLeavesHasNoOwner(): void
    {
        foreach (['/keeping', '/?password=changed'] as $path) {
            [$user, $browser] = [$this->user(), $this->browser()];
            self::login($browser, $user, ['set', 'cart', 'apple']);
            self::assertNull(self::visit($browser, $path, ['user'])->error);
            self::assertSame(['cart' => 'apple'], $browser->visit(['unset', 'none'])->session);
            $other = $this->browser();
            self::login($other, $user);
            self::assertCount(1, $other->visit(['user'], ['devices'])->results[1], $path);
        }
    }

    public function testSessionIsNotOwnedByTheUserOfAStatelessFirewall(): void
    {
        [$user, $browser] = [$this->user(), $this->browser()];
        self::login($browser, $user);
        $page = self::visit($browser, '/api?user=bob', ['user'], ['set', 'a', 1]);
        self::assertSame([null, 'bob'], [$page->error, $page->results[0]]);
        self::login($other = $this->browser(), $user);
        self::assertCount(2, $other->visit(['user'], ['devices'])->results[1]);
        self::assertSame([], self::visit($this->browser(), '/api?user=bob', ['user'])->calls);
    }

    public function testDevicesEnd(): void
    {
        $user = $this->user();
        $browsers = array_map(function () use ($user) {
            self::login($browser = $this->browser(), $user);

            return $browser;
        }, range(1, 4));
        [$mine, $second] = $browsers;
        $handle = array_column($second->visit(['user'], ['devices'])->results[1], 'handle', 'current')[true];
        self::assertTrue($mine->visit(['user'], ['logoutDevice', $handle])->results[1]);
        self::assertNull($second->visit(['user'])->results[0]);
        self::assertSame(2, $mine->visit(['user'], ['logoutOtherDevices'])->results[1]);
        $page = $mine->visit(['user'], ['logoutEverywhere']);
        self::assertSame([null, 1], [$page->error, $page->results[1]]);
        self::assertNull($mine->visit(['user'])->results[0]);
    }

    public function testLoginAboveTheLimitEndsTheOldestSession(): void
    {
        $user = $this->user();
        $browsers = array_map(function () use ($user) {
            self::login($browser = $this->browser(['max_sessions' => 1]), $user);
            // The API compares seconds.
            sleep(1);

            return $browser;
        }, range(1, 2));
        self::assertNull($browsers[0]->visit(['user'])->results[0]);
        self::assertSame($user, $browsers[1]->visit(['user'])->results[0]);
    }

    public function testDoubleClickOnALoginLogsIn(): void
    {
        $user = $this->user();
        $browser = $this->browser();
        $browser->visit(['set', 'a', 1]);
        $browser->path = '/?user=' . rawurlencode($user);
        $browser->visitAtOnce([[['sleep', 100]], [['sleep', 100]]]);
        $browser->path = '/';
        self::assertSame($user, $browser->visit(['user'])->results[0]);
    }
}
