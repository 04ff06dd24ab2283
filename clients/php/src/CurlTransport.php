<?php

declare(strict_types=1);

namespace SessionApi;

/** Transport over libcurl. Connections live as long as the process; before PHP 8.5, as long as the page. */
final class CurlTransport implements Transport
{
    /**
     * One per process: after a fork, parent and child must not read from the same connection. The child keeps its
     * parent's handle without using it, because closing it would end the parent's TLS connections.
     *
     * @var array<int, \CurlHandle>
     */
    private static array $handles = [];

    /**
     * Whether the last request to a server failed. Then the other connections kept to it are probably dead, too.
     *
     * @var array<string, bool>
     */
    private array $hasFailed = [];

    public function send(string $method, string $url, array $headers, string $body, float $timeout): Response
    {
        [$scheme, , $host] = explode('/', $url);
        $origin = "$scheme//$host";
        $curl = self::$handles[getmypid()] ??= curl_init();
        // Curl would add an unsigned `Expect: 100-continue`, which costs a round trip.
        $lines = ['expect:'];
        foreach ($headers as $name => $value) {
            $lines[] = "$name: $value";
        }
        curl_reset($curl);
        curl_setopt_array($curl, [
            CURLOPT_URL => $url,
            CURLOPT_CUSTOMREQUEST => $method,
            CURLOPT_HTTPHEADER => $lines,
            CURLOPT_HEADER => true,
            CURLOPT_RETURNTRANSFER => true,
            CURLOPT_TIMEOUT_MS => (int) ceil($timeout * 1000),
            CURLOPT_NOSIGNAL => true,
            CURLOPT_FRESH_CONNECT => $this->hasFailed[$origin] ?? false,
            CURLOPT_PROTOCOLS => CURLPROTO_HTTP | CURLPROTO_HTTPS,
        ]);
        if ($body !== '' || $method !== 'GET') {
            curl_setopt($curl, CURLOPT_POSTFIELDS, $body);
        }
        if (\function_exists('curl_share_init_persistent') && array_key_first(self::$handles) === getmypid()) {
            $share = curl_share_init_persistent([CURL_LOCK_DATA_CONNECT, CURL_LOCK_DATA_SSL_SESSION]);
            curl_setopt($curl, CURLOPT_SHARE, $share);
        }
        $received = curl_exec($curl);
        $this->hasFailed[$origin] = $received === false;
        if ($received === false) {
            throw new Unavailable("The session API at $origin did not respond: " . curl_error($curl));
        }
        $size = curl_getinfo($curl, CURLINFO_HEADER_SIZE);
        // Interim responses (1xx) come first.
        $blocks = explode("\r\n\r\n", rtrim(substr($received, 0, $size)));
        $lines = \array_slice(explode("\r\n", end($blocks)), 1);

        return Response::fromLines(curl_getinfo($curl, CURLINFO_RESPONSE_CODE), $lines, substr($received, $size));
    }
}
