<?php

declare(strict_types=1);

namespace SessionApi\Tests;

use PHPUnit\Framework\TestCase;

/** Connections that outlive a page. */
class StreamTransportTest extends TestCase
{
    private static Server $server;
    private static Server $app;

    public static function setUpBeforeClass(): void
    {
        self::start();
    }

    /**
     * Starts a server, and an app whose pages call it.
     *
     * @param list<string> $certificate with its file, if the server speaks TLS
     * @param list<string> $settings of PHP in the app
     */
    protected static function start(array $certificate = [], array $settings = []): void
    {
        self::$server = new Server([__DIR__ . '/app/server.php', 'ADDRESS', ...$certificate]);
        self::$app = new Server(
            ['-d', 'memory_limit=16M', ...$settings, '-S', 'ADDRESS', __DIR__ . '/app/page.php'],
        );
    }

    /** Returns where the pages call the server. */
    protected static function origin(string $url): string
    {
        return $url;
    }

    public static function tearDownAfterClass(): void
    {
        self::$app->stop();
        self::$server->stop();
    }

    /** Has a page send this request. Returns what it received. */
    protected static function page(string $path): string
    {
        $context = stream_context_create(['http' => ['ignore_errors' => true]]);

        $separator = str_contains($path, '?') ? '&' : '?';
        $origin = static::origin(self::$server->url);

        return file_get_contents(self::$app->url . "$path{$separator}url=$origin", false, $context);
    }

    public function testConnectionIsKeptFromPageToPage(): void
    {
        self::assertSame(self::page('/connection'), self::page('/connection'));
    }

    public function testPageThatDiesLeavesNoResponseToTheNext(): void
    {
        $connection = self::page('/connection');
        self::assertSame('', self::page('/huge'), 'the page ran out of memory');
        self::assertSame('small', self::page('/small'));
        self::assertNotSame($connection, self::page('/connection'));
    }

    public function testResponseThatComesTooLateIsNotTakenForTheNext(): void
    {
        self::assertStringContainsString('did not respond in time', self::page('/late'));
        self::assertSame('small', self::page('/small'));
    }

    public function testConnectionThatTheServerClosedIsReplaced(): void
    {
        $connection = self::page('/connection');
        self::assertSame('bye', self::page('/close'));
        usleep(100_000);
        self::assertNotSame($connection, self::page('/connection'));
        $connection = self::page('/connection');
        self::assertSame('bye', self::page('/announced-close'));
        self::assertNotSame($connection, self::page('/connection'));
    }

    public function testBytesThatNobodyAskedForAreNotAResponse(): void
    {
        self::assertStringContainsString('sent more than a response', self::page('/twice'));
        self::assertSame('small', self::page('/small'));
        self::assertSame('first', self::page('/later'));
        usleep(200_000);
        self::assertSame('small', self::page('/small'));
    }

    public function testResponseToAPageThatDiedIsNotTakenForTheNext(): void
    {
        $connection = self::page('/connection');
        self::assertSame('died', self::page('/late?dies'));
        self::assertSame('small', self::page('/small'));
        self::assertNotSame($connection, self::page('/connection'));
    }

    public function testChunkedAndInterimResponsesAreRead(): void
    {
        self::assertSame('one two', self::page('/chunked'));
        self::assertSame('after 100', self::page('/continue'));
    }

    public function testMalformedResponsesAreFailures(): void
    {
        foreach (['/garbage', '/no-length', '/bad-chunk', '/short'] as $path) {
            self::assertStringContainsString('Unavailable', self::page($path), $path);
            self::assertSame('small', self::page('/small'));
        }
    }
}
