<?php

declare(strict_types=1);

namespace SessionApi\Tests;

use PHPUnit\Framework\Attributes\DataProvider;
use PHPUnit\Framework\TestCase;
use SessionApi\Client;
use SessionApi\Credentials;
use SessionApi\Options;
use SessionApi\Response;
use SessionApi\Transport;
use SessionApi\Unavailable;

final class OptionsTest extends TestCase
{
    public function testDefaultsComeFromPhpAndTheEnvironment(): void
    {
        $options = new Options(['url' => 'https://example.com/stage/']);
        self::assertSame('https://example.com/stage', $options->url);
        self::assertSame((int) ini_get('session.gc_maxlifetime'), $options->ttl());
        self::assertNull($options->lock);
        self::assertSame(50, (new Options(['url' => 'https://example.com', 'ttl' => 1000]))->touchAfter());
    }

    /**
     * @dataProvider invalid
     *
     * @param array<string, mixed> $options
     */
    #[DataProvider('invalid')]
    public function testInvalidOptionsAreNamed(array $options, string $message): void
    {
        $this->expectException(\InvalidArgumentException::class);
        $this->expectExceptionMessage($message);
        new Options($options + ['url' => 'https://example.com']);
    }

    /** @return list<array{array<string, mixed>, string}> */
    public static function invalid(): array
    {
        $cases = [
            [['Lock' => 5], 'Unknown option "Lock". The options are: url, function_urls, region, ttl,'],
            [['retries' => NAN], 'The option "retries" must be a number, from 0 to 10.'],
            [['ttl' => 0], 'The option "ttl" must be a number, 1 or more.'],
            [['timeout' => 'long'], 'The option "timeout" must be a number, from 0.1 to 60.'],
            [['region' => 'Frankfurt'], 'The option "region" must be an AWS region; it is "Frankfurt".'],
        ];
        $urls = ['', 'example.com', 'ftp://example.com', 'https://', 'https://a:b@c.com', 'http://x/?a', "http://x\r"];
        foreach ($urls as $url) {
            $cases[] = [['url' => $url], 'Set the option "url" or the variable SESSION_API_URL to the URL'];
        }

        return $cases;
    }

    public function testCredentialsAreAskedForAgainUnlessTheySayWhenTheyExpire(): void
    {
        foreach ([[null, 3], [time() + 3600, 1], [time() + 10, 3]] as [$expiration, $times]) {
            $asked = 0;
            $source = function () use (&$asked, $expiration): Credentials {
                ++$asked;

                return new Credentials('id', 'secret', 'token', $expiration);
            };
            $sent = [];
            $client = self::client(['url' => 'https://example.com', 'credentials' => $source], $sent);
            array_map($client->destroy(...), ['a', 'b', 'c']);
            self::assertSame($times, $asked);
            self::assertArrayHasKey('authorization', $sent[2]);
        }
    }

    public function testFailureToFindCredentialsIsRetried(): void
    {
        $asked = 0;
        $source = function () use (&$asked): Credentials {
            return ++$asked === 1 ? throw new \RuntimeException('away') : new Credentials('id', 'secret');
        };
        $sent = [];
        self::client(['url' => 'https://example.com', 'credentials' => $source], $sent)->destroy('id');
        self::assertCount(1, $sent);
        $this->expectException(Unavailable::class);
        $this->expectExceptionMessage('There are no AWS credentials: away');
        $source = fn () => throw new \RuntimeException('away');
        self::client(['url' => 'https://example.com', 'credentials' => $source], $sent)->destroy('id');
    }

    public function testVariablesMayComeFromAFramework(): void
    {
        $_ENV['SESSION_API_URL'] = 'https://of.the.framework';
        self::assertSame('https://of.the.framework', (new Options())->url);
        $_ENV['SESSION_API_FUNCTION_URLS'] = '';
        self::assertSame([], (new Options())->functionUrls);
        $_ENV['SESSION_API_FUNCTION_URLS'] = 'read=http://r/,write=http://w,destroy=http://d';
        $urls = ['read' => 'http://r', 'write' => 'http://w', 'destroy' => 'http://d'];
        self::assertSame($urls, (new Options())->functionUrls);
        self::assertSame([], (new Options(['url' => 'https://another.api']))->functionUrls);
        unset($_ENV['SESSION_API_URL'], $_ENV['SESSION_API_FUNCTION_URLS']);
    }

    public function testOnlyCallsToLocalhostAreUnsigned(): void
    {
        $sent = [];
        $none = ['credentials' => fn () => null, 'retries' => 0];
        foreach (['http://localhost:9000', 'http://127.0.0.1', 'http://[::1]:9000'] as $url) {
            self::client($none + ['url' => $url], $sent)->destroy('id');
        }
        $local = 'read=http://localhost/r,write=http://localhost/w,destroy=http://localhost/d';
        $client = self::client($none + ['url' => 'https://example.com', 'function_urls' => $local], $sent);
        $client->destroy('id');
        self::assertCount(4, $sent);
        self::assertArrayNotHasKey('authorization', $sent[0]);
        $this->expectException(Unavailable::class);
        $this->expectExceptionMessage('There are no AWS credentials to sign calls of the session API with.');
        $client->destroyByHandle('ada', 'handle');
    }

    /**
     * @param array<string, mixed> $options
     * @param list<array<string, string>> $sent headers of the calls it makes
     */
    private static function client(array $options, array &$sent): Client
    {
        return new Client(new Options($options), new class ($sent) implements Transport {
            /** @param list<array<string, string>> $sent */
            public function __construct(private array &$sent)
            {
            }

            public function send(string $method, string $url, array $headers, string $body, float $timeout): Response
            {
                $this->sent[] = $headers;

                return new Response(204, [], '');
            }
        });
    }
}
