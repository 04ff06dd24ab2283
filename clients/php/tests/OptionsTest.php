<?php

declare(strict_types=1);

namespace SessionApi\Tests;

use PHPUnit\Framework\TestCase;
use SessionApi\Client;
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
            [['Lock' => 5], 'Unknown option "Lock". The options are: url, region, ttl,'],
            [['lock' => 11], 'The option "lock" must be a number, from 0 to 10.'],
            [['ttl' => 0], 'The option "ttl" must be a number, 1 or more.'],
            [['timeout' => 'long'], 'The option "timeout" must be a number, from 0.1 to 60.'],
            [['region' => 'Frankfurt'], 'The option "region" must be an AWS region; it is "Frankfurt".'],
        ];
        foreach (['', 'example.com', 'ftp://example.com', 'https://', 'https://a:b@c.com', 'http://x/?a'] as $url) {
            $cases[] = [['url' => $url], 'Set the option "url" or the variable SESSION_API_URL to the URL'];
        }

        return $cases;
    }

    public function testCallsAreUnsignedOnLocalhostOnly(): void
    {
        $sent = [];
        $transport = new class ($sent) implements Transport {
            /** @param list<array<string, string>> $sent */
            public function __construct(private array &$sent)
            {
            }

            public function send(string $method, string $path, array $headers, string $body, float $timeout): Response
            {
                $this->sent[] = $headers;

                return new Response(204, [], '');
            }
        };
        $none = ['credentials' => fn () => null, 'retries' => 0];
        foreach (['http://localhost:9000', 'http://127.0.0.1', 'http://[::1]:9000'] as $url) {
            (new Client(new Options($none + ['url' => $url]), $transport))->destroy('id');
        }
        self::assertCount(3, $sent);
        self::assertArrayNotHasKey('authorization', $sent[0]);
        $this->expectException(Unavailable::class);
        $this->expectExceptionMessage('There are no AWS credentials to sign calls of the session API with.');
        (new Client(new Options($none + ['url' => 'https://example.com']), $transport))->destroy('id');
    }
}
