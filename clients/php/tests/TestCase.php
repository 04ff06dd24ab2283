<?php

declare(strict_types=1);

namespace SessionApi\Tests;

/** Tests with pages that PHP serves and whose sessions are in the API at `SESSION_API_URL`. */
abstract class TestCase extends \PHPUnit\Framework\TestCase
{
    private static Server|FpmServer $app;
    private static string $folder;

    public static function setUpBeforeClass(): void
    {
        if (getenv('SESSION_API_URL') === false) {
            throw new \RuntimeException('SESSION_API_URL is not set. Run `make test-clients`.');
        }
        self::$app = static::start(__DIR__ . '/app/index.php');
        self::$folder = sys_get_temp_dir() . '/session-api-' . bin2hex(random_bytes(8));
        mkdir(self::$folder);
    }

    public static function tearDownAfterClass(): void
    {
        self::$app->stop();
        array_map(unlink(...), glob(self::$folder . '/*'));
        rmdir(self::$folder);
    }

    /** Starts a server that serves the app. */
    protected static function start(string $script): Server|FpmServer
    {
        return new Server(['-S', 'ADDRESS', $script], workers: 16);
    }

    /**
     * @param array<string, mixed> $options of the handler
     * @param array<string, string> $ini PHP settings
     */
    protected function browser(array $options = [], array $ini = [], string $agent = 'Firefox'): Browser
    {
        return new Browser(self::$app->url, self::$folder . '/calls', $options, $ini, $agent);
    }

    /**
     * Returns a primary store and another one. The session moves to the primary one just before the other is read.
     *
     * @return array{\SessionHandlerInterface, \SessionHandlerInterface}
     */
    protected function storesOfAMove(string $data): array
    {
        $moved = '';
        $primary = $this->createStub(\SessionHandlerInterface::class);
        $primary->method('read')->willReturnCallback(function () use (&$moved): string {
            return $moved;
        });
        $other = $this->createStub(\SessionHandlerInterface::class);
        $other->method('read')->willReturnCallback(function () use (&$moved, $data): string {
            $moved = $data;

            return '';
        });

        return [$primary, $other];
    }

    /**
     * Has a new browser do one step at the end of a slow page, while a fast page does the others.
     *
     * @param array<string, mixed> $options of the handler
     * @param list<mixed> $slow
     * @param list<mixed> ...$fast
     *
     * @return array{Page, Page, string} both pages, and the cookie from before them
     */
    protected function race(array $options, array $slow, array ...$fast): array
    {
        do {
            // A worker of PHP's built-in server may queue the fast page behind the slow one.
            $browser = $this->browser($options);
            $browser->visit(['set', 'a', 1]);
            $cookie = $browser->cookie;
            $fastSteps = [['sleep', 200], ['now'], ...$fast, ...[['now']]];
            $pages = $browser->visitAtOnce([[['now'], ['sleep', 500], ['now'], $slow], $fastSteps]);
            [$slowTimes, $fastTimes] = [$pages[0]->results, $pages[1]->results];
        } while ($fastTimes[1] < $slowTimes[0] || end($fastTimes) > $slowTimes[2]);

        return [...$pages, $cookie];
    }

    /**
     * Has two slow pages increment `n` at the same time. One of them should fail.
     *
     * @param \Closure(): Browser $open opens the browser that visits both
     *
     * @return array{Browser, list<string>} the browser, and the errors of the pages
     */
    protected function collide(\Closure $open): array
    {
        do {
            // A worker of PHP's built-in server may queue one page behind the other.
            $browser = $open();
            $browser->visit(['set', 'n', 0]);
            $pages = $browser->visitAtOnce(array_fill(0, 2, [['sleep', 500], ['increment', 'n']]));
            $errors = array_values(array_filter(array_map(fn (Page $page) => $page->error, $pages)));
        } while ($errors === [] && $browser->visit()->session === ['n' => 2]);

        return [$browser, $errors];
    }

    /** Returns a user name that no other test uses. */
    protected function user(): string
    {
        return 'user-' . bin2hex(random_bytes(8)) . ' ü';
    }
}
