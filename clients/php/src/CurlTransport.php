<?php

declare(strict_types=1);

namespace SessionApi;

/** Transport over libcurl. PHP 8.5 and newer keep its connections from page to page. */
final class CurlTransport implements Transport
{
    private readonly \CurlHandle $curl;

    public function __construct(private readonly string $origin)
    {
        $this->curl = curl_init();
    }

    public static function keepsConnections(): bool
    {
        return \function_exists('curl_share_init_persistent');
    }

    public function send(string $method, string $path, array $headers, string $body, float $timeout): Response
    {
        $lines = [];
        // An expectation is another round trip, and curl would add an unsigned one.
        foreach ($headers + ['expect' => ''] as $name => $value) {
            // With a semicolon, curl sends an empty header; with a colon, it sends none.
            $lines[] = $value === '' && $name !== 'expect' ? "$name;" : "$name: $value";
        }
        $head = [];
        curl_reset($this->curl);
        curl_setopt_array($this->curl, [
            CURLOPT_URL => $this->origin . $path,
            CURLOPT_CUSTOMREQUEST => $method,
            CURLOPT_HTTPHEADER => $lines,
            CURLOPT_RETURNTRANSFER => true,
            CURLOPT_TIMEOUT_MS => (int) ceil($timeout * 1000),
            CURLOPT_PROTOCOLS => CURLPROTO_HTTP | CURLPROTO_HTTPS,
            CURLOPT_HEADERFUNCTION => function ($_, string $line) use (&$head): int {
                if (str_contains($line, ':')) {
                    $head[] = $line;
                }

                return \strlen($line);
            },
        ]);
        if ($body !== '' || $method !== 'GET') {
            curl_setopt($this->curl, CURLOPT_POSTFIELDS, $body);
        }
        if (self::keepsConnections()) {
            $share = curl_share_init_persistent([CURL_LOCK_DATA_CONNECT, CURL_LOCK_DATA_SSL_SESSION]);
            curl_setopt($this->curl, CURLOPT_SHARE, $share);
        }
        $received = curl_exec($this->curl);
        if ($received === false) {
            throw new Unavailable("The session API at $this->origin did not respond: " . curl_error($this->curl));
        }

        return Response::fromLines(curl_getinfo($this->curl, CURLINFO_RESPONSE_CODE), $head, $received);
    }
}
