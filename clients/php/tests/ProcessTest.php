<?php

declare(strict_types=1);

namespace SessionApi\Tests;

use PHPUnit\Framework\TestCase;

/** Processes with several sessions, such as queue workers and servers that fork. */
final class ProcessTest extends TestCase
{
    /** @return array<mixed> */
    private static function play(string $scene): array
    {
        $settings = ['-d', 'session.use_cookies=0', '-d', 'session.cache_limiter='];
        $command = [PHP_BINARY, ...$settings, __DIR__ . '/app/process.php', $scene];
        exec(implode(' ', array_map(escapeshellarg(...), $command)) . ' 2>&1', $output);

        return json_decode(implode("\n", $output), true) ?? self::fail(implode("\n", $output));
    }

    public function testForkedProcessesReadTheirOwnSessions(): void
    {
        self::assertSame(['ada' => '0', 'bob' => '0'], self::play('fork'));
    }

    public function testLoginThatFailedLeavesNoOwner(): void
    {
        self::assertSame(['down', null, null], self::play('failed login'));
        self::assertSame([null], self::play('abandoned login'));
    }

    public function testEmptySessionKeepsItsId(): void
    {
        self::assertSame(['cart' => 'apple'], self::play('empty session'));
    }

    public function testHandlerRecognizesIdsThatPhpMakesForADecorator(): void
    {
        self::assertSame([false, 'gold', 'cart|s:4:"gold";', 'b|i:1;'], self::play('decorated'));
    }

    public function testLifetimeMayBeSetWhenTheSessionStarts(): void
    {
        [$ttl] = self::play('lifetime');
        self::assertGreaterThan(86_000, $ttl);
        self::assertLessThanOrEqual(86_400, $ttl);
    }

    public function testEachSessionHasTheLabelOfItsOwnRequest(): void
    {
        self::assertEqualsCanonicalizing(['Firefox', 'Safari'], self::play('labels'));
    }
}
