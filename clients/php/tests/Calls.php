<?php

declare(strict_types=1);

namespace SessionApi\Tests;

use SessionApi\Client;
use SessionApi\Handler;
use SessionApi\Options;
use SessionApi\Response;
use SessionApi\CurlTransport;
use SessionApi\Transport;
use SessionApi\Unavailable;

/** Transport that records its calls in a file, and loses the response to the call named in `<file>.lose`. */
final class Calls implements Transport
{
    public function __construct(private readonly Transport $transport, private readonly string $file)
    {
    }

    /** @param array<string, mixed> $options */
    public static function handler(array $options, string $file): Handler
    {
        $options = new Options($options);

        return new Handler($options, new Client($options, new self(new CurlTransport(), $file)));
    }

    public function send(string $method, string $url, array $headers, string $body, float $timeout): Response
    {
        $path = strstr(parse_url($url, PHP_URL_PATH), '/session');
        file_put_contents($this->file, "$method $path\n", FILE_APPEND | LOCK_EX);
        $response = $this->transport->send($method, $url, $headers, $body, $timeout);
        if (is_file("$this->file.lose") && file_get_contents("$this->file.lose") === "$method $path") {
            unlink("$this->file.lose");
            throw new Unavailable('the response was lost');
        }

        return $response;
    }
}
