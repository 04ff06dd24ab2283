<?php

declare(strict_types=1);

namespace SessionApi\Tests;

use PHPUnit\Framework\Attributes\DataProvider;
use PHPUnit\Framework\TestCase;
use SessionApi\Client;
use SessionApi\Conflict;
use SessionApi\Credentials;
use SessionApi\Locked;
use SessionApi\Options;
use SessionApi\Response;
use SessionApi\Session;
use SessionApi\Transport;
use SessionApi\Unavailable;

/** Plays tests/conformance/contract.json. */
final class ContractTest extends TestCase
{
    /** Calls and cases that this client doesn't have. It keeps the lock when it rotates, because the page goes on. */
    private const LACKING = ['exists', 'destroy-unchanged', 'rotate releases the lock'];
    private const URL = 'http://localhost/base';

    public function testOptionsHaveTheLimitsOfTheContract(): void
    {
        foreach (self::contract()['limits'] as ['option' => $name, 'min' => $min, 'max' => $max]) {
            $new = fn (int $value): Options => new Options(['url' => 'http://localhost', $name => $value]);
            array_map($new, [$min, $max]);
            foreach ([$min - 1, $max + 1] as $value) {
                try {
                    $new($value);
                    self::fail("$name: $value");
                } catch (\InvalidArgumentException $error) {
                    $expected = "The option \"$name\" must be a number, from $min to $max.";
                    self::assertSame($expected, $error->getMessage());
                }
            }
        }
    }

    /**
     * @dataProvider requests
     *
     * @param array<string, mixed> $case
     */
    #[DataProvider('requests')]
    public function testCallSendsItsRequest(array $case): void
    {
        $sent = [];
        self::play($case, function (mixed ...$request) use (&$sent): Response {
            $sent[] = $request;

            return new Response(503, [], '');
        });
        self::assertCount(2, $sent);
        [$method, $url, $headers, $body] = $sent[0];
        self::assertSame([$case['method'], self::URL . $case['path'], $case['body']], [$method, $url, $body]);
        foreach ($case['headers'] as $name => $value) {
            self::assertSame($value, $headers[$name] ?? null, $name);
        }
        foreach ($case['present'] ?? [] as $name) {
            self::assertArrayHasKey($name, $headers);
        }
        foreach ($case['absent'] ?? [] as $name) {
            self::assertArrayNotHasKey($name, $headers);
        }
        self::assertSame($headers, $sent[1][2], 'a retry sends the same headers');
    }

    /**
     * @dataProvider requests
     *
     * @param array<string, mixed> $case
     */
    #[DataProvider('requests')]
    public function testCallGoesToTheUrlOfItsFunction(array $case): void
    {
        ['functions' => $functions, 'function_urls' => ['valid' => $values]] = self::contract();
        $call = "{$case['method']} {$case['path']}";
        $function = key(array_filter($functions, fn (array $calls) => \in_array($call, $calls, true)));
        foreach ($values as $value) {
            $url = preg_match("~(?:^|,)$function=(http[^,]+?)/?(,|$)~", $value, $match) === 1 ? $match[1] : self::URL;
            $sent = self::sent($case, ['function_urls' => $value]);
            self::assertSame($url . $case['path'], $sent['url']);
        }
    }

    public function testFunctionUrlsAreOfAllFunctions(): void
    {
        foreach (self::contract()['function_urls']['invalid'] as $value) {
            try {
                new Options(['url' => self::URL, 'function_urls' => $value]);
                self::fail($value);
            } catch (\InvalidArgumentException $error) {
                foreach (['"function_urls"', 'SESSION_API_FUNCTION_URLS', "the stack's output FunctionUrls"] as $part) {
                    self::assertStringContainsString($part, $error->getMessage());
                }
            }
        }
    }

    public function testCallIsSignedForItsHost(): void
    {
        ['functions' => $functions, 'signed_for' => $cases] = self::contract();
        foreach ($cases as $case) {
            $urls = array_map(fn (string $function) => "$function={$case['url']}", array_keys($functions));
            $isOfFunction = $case['is_of_function'] ?? false;
            $options = $isOfFunction ? ['function_urls' => implode(',', $urls)] : ['url' => $case['url']];
            $call = ['call' => 'read', 'with' => ['id' => 'id']];
            $sent = self::sent($call, $options + ['region' => 'eu-west-3']);
            self::assertStringStartsWith($case['url'], $sent['url']);
            $scope = "/{$case['region']}/{$case['service']}/aws4_request";
            self::assertStringContainsString($scope, $sent['headers']['authorization'], $case['url']);
        }
    }

    /**
     * Returns the request of a call by a client with credentials.
     *
     * @param array<string, mixed> $case
     * @param array<string, mixed> $options
     *
     * @return array{url: string, headers: array<string, string>}
     */
    private static function sent(array $case, array $options): array
    {
        $send = function (string $method, string $url, array $headers) use (&$sent): Response {
            $sent = ['url' => $url, 'headers' => $headers];

            return new Response(503, [], '');
        };
        self::play($case, $send, $options + ['credentials' => fn () => new Credentials('id', 'secret')]);

        return $sent;
    }

    /**
     * @dataProvider responses
     *
     * @param array<string, mixed> $case
     */
    #[DataProvider('responses')]
    public function testResponseHasItsOutcome(array $case): void
    {
        $isLost = $case['retry'] ?? false;
        $attempts = 0;
        $send = function () use ($case, &$isLost, &$attempts): Response {
            ++$attempts;
            [$wasLost, $isLost] = [$isLost, false];

            return $wasLost
                ? throw new Unavailable('lost')
                : new Response($case['status'], $case['headers'], $case['body']);
        };
        [$outcome, $slept] = self::play($case, $send);
        $expected = $case['outcome'];
        if (\in_array($expected['is'], ['unavailable', 'refused'], true)) {
            self::assertSame($expected['is'] === 'unavailable' ? 2 : 1, $attempts);
            self::assertInstanceOf(Unavailable::class, $outcome);
            self::assertStringContainsString($expected['reason'] ?? '', $outcome->getMessage());
            self::assertStringContainsString((string) ($expected['status'] ?? ''), $outcome->getMessage());
            if ($expected['is'] === 'unavailable') {
                ['min' => $min, 'max' => $max] = self::contract()['back_off'];
                $isBackOff = $slept[0] >= $min * 1e6 && $slept[0] <= $max * 1e6;
                self::assertSame($expected['retry_after'], $isBackOff ? null : intdiv($slept[0], 1_000_000));
            }
        } else {
            self::assertSame(self::expected($case), self::outcome($case['call'], $outcome));
        }
    }

    /**
     * @param array<string, mixed> $case
     *
     * @return array<string, mixed>
     */
    private static function expected(array $case): array
    {
        $outcome = $case['outcome'];
        if (\in_array($outcome['is'], ['session', 'changed', 'written'], true)) {
            $outcome += ['ttl' => $case['with']['ttl'] ?? null, 'user' => null, 'lock' => null];
        } elseif ($outcome['is'] === 'destroyed' && $case['call'] === 'limit') {
            return ['is' => 'done'];
        }
        ksort($outcome);

        return $outcome;
    }

    /** @return array<string, mixed> */
    private static function outcome(string $call, mixed $result): array
    {
        $outcome = match (true) {
            $result instanceof Locked => ['is' => 'locked'],
            $result instanceof Conflict => ['is' => 'changed', 'data' => $result->current->data]
                + self::fields($result->current),
            $result instanceof Session && \in_array($call, ['read', 'lock'], true)
                => ['is' => 'session', 'data' => $result->data] + self::fields($result),
            $result instanceof Session => ['is' => 'written'] + self::fields($result),
            $result instanceof \Throwable => throw $result,
            $call === 'touch' => $result === null ? ['is' => 'absent'] : ['is' => 'done', 'ttl' => $result],
            \is_bool($result) => ['is' => 'found', 'value' => $result],
            \is_int($result) => ['is' => 'destroyed', 'count' => $result],
            \is_array($result) => ['is' => 'list', 'sessions' => $result],
            $call === 'create' => ['is' => 'taken'],
            \in_array($call, ['read', 'lock', 'replace', 'rotate', 'rotate-locked'], true) => ['is' => 'absent'],
            default => ['is' => 'done'],
        };
        ksort($outcome);

        return $outcome;
    }

    /** @return array<string, mixed> */
    private static function fields(Session $session): array
    {
        return [
            'etag' => $session->etag, 'ttl' => $session->ttl, 'user' => $session->user, 'lock' => $session->lock,
        ];
    }

    /**
     * Calls the client.
     *
     * @param array<string, mixed> $case
     * @param \Closure(mixed...): Response $send
     * @param array<string, mixed> $options
     *
     * @return array{mixed, list<int>} what it returned or threw, and how long each of its pauses was
     */
    private static function play(array $case, \Closure $send, array $options = []): array
    {
        $with = $case['with'] + ['user' => null, 'lock' => null, 'etag' => '', 'id' => null];
        $transport = new class ($send) implements Transport {
            public function __construct(private readonly \Closure $send)
            {
            }

            public function send(string $method, string $url, array $headers, string $body, float $timeout): Response
            {
                return ($this->send)($method, $url, $headers, $body);
            }
        };
        $slept = [];
        $options += ['url' => self::URL, 'retries' => 1, 'label' => $with['label'] ?? fn () => null];
        $client = new Client(
            new Options($options + array_intersect_key($with, ['ttl' => 1, 'lease' => 1])),
            $transport,
            function (int $microseconds) use (&$slept): void {
                $slept[] = $microseconds;
            },
        );
        $read = new Session((string) $with['id'], '', $with['etag'], 60, $with['lock'], $with['owner'] ?? null);
        try {
            $result = match ($case['call']) {
                'read' => $client->read($with['id']),
                'lock' => $client->lock($with['id'], $with['wait']),
                'create' => $client->create($with['id'], $with['data'], $with['user']),
                'replace' => $client->replace($read, $with['data'], $with['user']),
                'rotate', 'rotate-locked' => $client->rotate($read, $with['new_id'], $with['data'], 0, $with['user']),
                'touch' => $client->touch($with['id']),
                'release' => $client->release($read),
                'destroy' => $client->destroy($with['id']),
                'sessions' => $client->sessions($with['user'], $with['id']),
                'destroy-all' => $client->destroyAll($with['user'], $with['id']),
                'limit' => $client->limit($with['user'], $with['limit']),
                'destroy-by-handle' => $client->destroyByHandle($with['user'], $with['handle']),
            };
        } catch (Unavailable | Conflict $error) {
            $result = $error;
        }

        return [$result, $slept];
    }

    /** @return array<string, array{array<string, mixed>}> */
    public static function requests(): array
    {
        return self::cases('requests');
    }

    /** @return array<string, array{array<string, mixed>}> */
    public static function responses(): array
    {
        return self::cases('responses');
    }

    /** @return array<string, mixed> */
    private static function contract(): array
    {
        return json_decode(file_get_contents(__DIR__ . '/../../../tests/conformance/contract.json'), true);
    }

    /** @return array<string, array{array<string, mixed>}> */
    private static function cases(string $kind): array
    {
        $contract = self::contract();
        $lacks = fn (array $case): bool => array_intersect([$case['call'], $case['name']], self::LACKING) !== [];
        $played = array_filter($contract[$kind], fn (array $case) => !$lacks($case));

        return array_map(fn (array $case) => [$case], array_column($played, null, 'name'));
    }
}
