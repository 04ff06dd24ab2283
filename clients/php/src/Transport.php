<?php

declare(strict_types=1);

namespace SessionApi;

/** Sends HTTP requests. */
interface Transport
{
    /**
     * Sends a request once.
     *
     * @param array<string, string> $headers
     *
     * @throws Unavailable if no complete response arrives within `$timeout` seconds
     */
    public function send(string $method, string $url, array $headers, string $body, float $timeout): Response;
}
