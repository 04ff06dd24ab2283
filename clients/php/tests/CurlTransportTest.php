<?php

declare(strict_types=1);

namespace SessionApi\Tests;

use PHPUnit\Framework\TestCase;
use SessionApi\CurlTransport;

/** How connections are kept and replaced, and what happens to malformed responses. */
class CurlTransportTest extends TestCase
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
     * @param list<string> $certificate its file, if the server uses TLS
     * @param list<string> $settings PHP options for the app
     */
    protected static function start(array $certificate = [], array $settings = []): void
    {
        self::$server = new Server([__DIR__ . '/app/server.php', 'ADDRESS', ...$certificate]);
        self::$app = new Server([...$settings, '-S', 'ADDRESS', __DIR__ . '/app/page.php']);
    }

    /** Returns the URL at which the pages call the server. */
    protected static function origin(string $url): string
    {
        return $url;
    }

    public static function tearDownAfterClass(): void
    {
        self::$app->stop();
        self::$server->stop();
    }

    /**
     * Has a page send requests to these paths, or to the URLs of other servers, and returns the responses.
     *
     * @return list<string>
     */
    protected static function page(string ...$paths): array
    {
        $origin = static::origin(self::$server->url);
        $query = http_build_query(['urls' => preg_replace('~^/~', "$origin/", $paths)]);

        return json_decode(file_get_contents(self::$app->url . "/?$query"), true);
    }

    public function testConnectionIsKept(): void
    {
        [$first, $second] = self::page('/connection', '/connection');
        self::assertSame($first, $second);
    }

    public function testServersHaveTheirOwnConnections(): void
    {
        $other = new Server([__DIR__ . '/app/server.php', 'ADDRESS']);
        try {
            $paths = ['/connection', "$other->url/connection"];
            $bodies = self::page(...$paths, ...$paths, ...["$other->url/garbage", '/connection']);
            self::assertSame([$bodies[0], $bodies[1], $bodies[0]], [$bodies[2], $bodies[3], $bodies[5]]);
            self::assertStringContainsString("$other->url did not respond", $bodies[4]);
        } finally {
            $other->stop();
        }
    }

    public function testConnectionThatTheServerClosedOrResetIsReplaced(): void
    {
        foreach (['/close', '/announced-close', '/reset-later'] as $path) {
            [$first, $bye, $second] = self::page('/connection', $path, '/connection');
            self::assertSame('bye', $bye);
            self::assertNotSame($first, $second, $path);
            self::assertGreaterThan(0, (int) $second, $second);
        }
    }

    public function testLateResponseIsNotTakenForTheNextOne(): void
    {
        [$late, $small] = self::page('/late', '/small');
        self::assertStringContainsString('timed out', $late);
        self::assertSame('small', $small);
    }

    public function testUnsolicitedBytesAreNotAResponse(): void
    {
        self::assertSame(['first', 'small'], self::page('/twice', '/small'));
    }

    public function testChunkedAndInterimResponsesAreRead(): void
    {
        self::assertSame(['one two', 'after 100'], self::page('/chunked', '/continue'));
    }

    public function testMalformedResponsesAreFailures(): void
    {
        foreach (['/garbage', '/bad-chunk', '/short'] as $path) {
            [$malformed, $small] = self::page($path, '/small');
            self::assertStringContainsString('Unavailable', $malformed, $path);
            self::assertSame('small', $small);
        }
    }
}
