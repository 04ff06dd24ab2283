<?php

declare(strict_types=1);

namespace SessionApi\Tests;

use PHPUnit\Framework\TestCase;
use SessionApi\Client;
use SessionApi\Handler;
use SessionApi\Options;
use SessionApi\Response;
use SessionApi\Transport;
use SessionApi\Unavailable;

/** Sequences of calls that pages can't produce. */
final class HandlerTest extends TestCase
{
    public function testExpiryDoesNotSlideOnEachPageIfTheApiCutsTheLifetime(): void
    {
        $transport = new class () implements Transport {
            public int $left = 500;
            /** @var list<string> */
            public array $calls = [];

            public function send(string $method, string $url, array $headers, string $body, float $timeout): Response
            {
                $this->calls[] = $method;

                return $method === 'GET'
                    ? new Response(200, ['etag' => '"a"', 'session-ttl' => (string) $this->left], 'a|i:1;')
                    : new Response(204, ['etag' => '"a"', 'session-ttl' => (string) $this->left], '');
            }
        };
        $options = new Options(['url' => 'http://localhost', 'ttl' => 1000]);
        $id = bin2hex(random_bytes(32));
        foreach ([500, 490, 451, 450, 440] as $transport->left) {
            $handler = new Handler($options, new Client($options, $transport));
            $handler->open('', '');
            $handler->updateTimestamp($id, $handler->read($id));
            $handler->close();
        }
        self::assertSame(['GET', 'POST', 'GET', 'GET', 'GET', 'POST', 'GET'], $transport->calls);
    }

    public function testFailedLoadIsNotRemembered(): void
    {
        $transport = new class () implements Transport {
            public bool $isDown = true;

            public function send(string $method, string $url, array $headers, string $body, float $timeout): Response
            {
                return $this->isDown
                    ? throw new Unavailable('down')
                    : new Response(200, ['etag' => '"a"', 'session-ttl' => '60'], 'the data');
            }
        };
        $options = new Options(['url' => 'http://localhost', 'retries' => 0]);
        $handler = new Handler($options, new Client($options, $transport));
        $id = str_repeat('a', 64);
        $handler->open('', '');
        self::assertTrue($handler->validateId($id), 'PHP would replace an exception thrown here with its own');
        try {
            $handler->read($id);
            self::fail('an outage is not an empty session');
        } catch (Unavailable) {
        }
        $transport->isDown = false;
        $handler->open('', '');
        self::assertTrue($handler->validateId($id));
        self::assertSame('the data', $handler->read($id));
    }
}
