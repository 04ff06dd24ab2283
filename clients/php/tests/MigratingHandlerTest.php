<?php

declare(strict_types=1);

namespace SessionApi\Tests;

use SessionApi\MigratingHandler;

/** Moves sessions from files to the API and back while the app runs. */
final class MigratingHandlerTest extends TestCase
{
    private string $files;

    protected function setUp(): void
    {
        $this->files = sys_get_temp_dir() . '/session-files-' . bin2hex(random_bytes(8));
        mkdir($this->files, 0777);
    }

    protected function tearDown(): void
    {
        exec('rm -rf ' . escapeshellarg($this->files));
    }

    private function visitor(string $store): Browser
    {
        return $this->browser(['store' => $store], ['session.save_path' => $this->files]);
    }

    public function testSessionMovesWithTheFirstVisit(): void
    {
        $browser = $this->visitor('files');
        $browser->visit(['set', 'a', 1]);
        $cookie = $browser->cookie;
        $browser->options['store'] = 'api, then files';
        $page = $browser->visit();
        self::assertSame(['a' => 1], $page->session);
        self::assertSame(['GET /session', 'PUT /session'], $page->calls);
        self::assertSame([], glob("$this->files/*"), 'a session is only ever in one store');
        self::assertSame(['GET /session'], $browser->visit()->calls);
        $browser->options['store'] = 'api';
        self::assertSame(['a' => 1], $browser->visit()->session);
        self::assertSame($cookie, $browser->cookie);

        $browser->options['store'] = 'files, then api';
        self::assertSame(['a' => 1], $browser->visit()->session);
        $browser->options['store'] = 'files';
        self::assertSame(['a' => 1], $browser->visit()->session);
        $browser->options['store'] = 'api';
        self::assertSame([], $browser->visit()->session);
    }

    public function testNewVisitorsLeaveNothingInTheOtherStore(): void
    {
        self::assertSame(['PUT /session'], $this->visitor('api, then files')->visit(['set', 'a', 1])->calls);
        $browser = $this->visitor('api, then files');
        $browser->cookie = str_repeat('a', 32);
        self::assertSame([], $browser->visit()->session);
        self::assertNotSame(str_repeat('a', 32), $browser->cookie);
        self::assertSame([], glob("$this->files/*"));
    }

    public function testLoggedOutSessionDoesNotComeBackFromTheOtherStore(): void
    {
        foreach (['api, then files' => 'files', 'files, then api' => 'api'] as $store => $old) {
            foreach ([['destroy'], ['regenerate', true], ['empty']] as $step) {
                $browser = $this->visitor($old);
                $browser->visit(['set', 'a', 1]);
                $cookie = $browser->cookie;
                $browser->options['store'] = $store;
                self::assertNull($browser->visit($step)->error);
                $browser->cookie = $cookie;
                self::assertSame([], $browser->visit()->session, "$store, $step[0]");
                $browser->cookie = $cookie;
                $browser->options['store'] = $old;
                self::assertSame([], $browser->visit()->session, "$old, $step[0]");
            }
        }
    }

    /** Aborting a session looks to the stores as if the page had died. */
    public function testPageThatDiesLosesNoSession(): void
    {
        foreach (['api, then files' => 'files', 'files, then api' => 'api'] as $store => $old) {
            foreach ([[], [['regenerate', false]], [['set', 'b', 1], ['regenerate', false]]] as $steps) {
                $browser = $this->visitor($old);
                $browser->visit(['set', 'a', 1]);
                $browser->options['store'] = $store;
                $cookie = $browser->cookie;
                self::assertFalse($browser->visit(...[...$steps, ['abort']])->isActive);
                $browser->cookie = $cookie;
                self::assertSame(1, $browser->visit()->session['a'] ?? null, $store);
            }
        }
        $browser = $this->visitor('files');
        $browser->visit(['set', 'a', 1]);
        $browser->options['store'] = 'api, then files';
        $cookie = $browser->cookie;
        $browser->visit(['regenerate', true], ['abort']);
        $browser->cookie = $cookie;
        self::assertSame(['a' => 1], $browser->visit()->session, 'the page died before it changed anything');
    }

    public function testChangesOfParallelFirstVisitsAreKept(): void
    {
        $browser = $this->visitor('files');
        $browser->visit(['set', 'a', 1], ['set', 'gone', 1]);
        $browser->options['store'] = 'api, then files';
        $pages = [[['unset', 'gone']], [['sleep', 50], ['set', 'b', 1]], [['sleep', 50], ['set', 'c', 1]]];
        foreach ($browser->visitAtOnce($pages) as $page) {
            self::assertNull($page->error);
        }
        self::assertEquals(['a' => 1, 'b' => 1, 'c' => 1], $browser->visit()->session);
    }

    public function testSessionThatMovesBetweenTwoLooksIsFound(): void
    {
        [$primary, $other] = $this->storesOfAMove('a|i:1;');
        $handler = new MigratingHandler($primary, $other, new \DateTimeImmutable('+1 hour'));
        self::assertTrue($handler->validateId('id'));
        self::assertSame('a|i:1;', $handler->read('id'));
    }

    public function testUnreachableApiIsNotAnEmptySession(): void
    {
        $browser = $this->visitor('api');
        $browser->visit(['set', 'a', 1]);
        foreach (['files, then api', 'api, then files'] as $store) {
            $browser->options = ['store' => $store, 'url' => 'http://127.0.0.1:1', 'retries' => 0];
            self::assertStringStartsWith('SessionApi\Unavailable', $browser->visit(['set', 'a', 2])->error);
        }
    }

    public function testNewVisitorMayReadASessionInTheOtherStore(): void
    {
        $browser = $this->visitor('api');
        $browser->visit(['set', 'a', 1]);
        $results = $this->visitor('files, then api')->visit(['read', $browser->cookie])->results;
        self::assertSame(['a|i:1;'], $results);
    }

    public function testOtherStoreIsNotReadOnceTheMoveIsOver(): void
    {
        $browser = $this->visitor('files');
        $browser->visit(['set', 'a', 1]);
        $browser->options['store'] = 'api, files over';
        self::assertSame([], $browser->visit()->session);
    }

    /** Rolls out both steps, then the way back. Each rollout reaches some servers before the others. */
    public function testNobodyIsLoggedOutByARollout(): void
    {
        $visitors = [];
        $visit = function (string ...$stores) use (&$visitors): void {
            $multi = [];
            foreach ($visitors as $n => $browser) {
                $browser->options['store'] = $stores[array_rand($stores)];
                $multi[] = [$browser, [['increment', 'visits']]];
                if (\count($multi) === 16 || $n === array_key_last($visitors)) {
                    Browser::visitAll($multi);
                    $multi = [];
                }
            }
        };
        for ($n = 0; $n < 200; ++$n) {
            $visitors[] = $this->visitor('files');
        }
        $visit('files');
        $cookies = array_map(fn (Browser $browser) => $browser->cookie, $visitors);
        $visit('files', 'files, then api');
        $visit('files, then api', 'api, then files');
        $visit('files, then api', 'api, then files');
        $visit('api, then files');
        self::assertSame([], glob("$this->files/*"), 'all sessions are in the API now');
        $visit('api, then files', 'files, then api');
        $visit('files, then api');
        $visit('files');
        self::assertSame($cookies, array_map(fn (Browser $browser) => $browser->cookie, $visitors));
        foreach ($visitors as $browser) {
            self::assertSame(['visits' => 8], $browser->last->session);
        }
    }
}
