<?php

declare(strict_types=1);

namespace SessionApi;

/**
 * Transport over a persistent stream, for PHP before 8.5, whose curl closes its connections at the end of a page.
 *
 * A page can end in the middle of an exchange, by a fatal error. The next page of the process must not take the rest
 * of that response for its own: it may be another user's session. So a stream is non-blocking while a response is
 * due. That state belongs to the connection, and a page that finds it there closes the connection.
 */
final class StreamTransport implements Transport
{
    private readonly string $address;
    private readonly string $host;

    public function __construct(private readonly string $origin)
    {
        $parts = parse_url($origin);
        $isSecure = $parts['scheme'] === 'https';
        $port = $parts['port'] ?? ($isSecure ? 443 : 80);
        $this->address = ($isSecure ? 'tls' : 'tcp') . "://{$parts['host']}:$port";
        $this->host = $parts['host'] . (isset($parts['port']) ? ":$port" : '');
    }

    public function send(string $method, string $path, array $headers, string $body, float $timeout): Response
    {
        $deadline = microtime(true) + $timeout;
        $request = "$method $path HTTP/1.1\r\nhost: $this->host\r\n";
        foreach ($headers + ['content-length' => (string) \strlen($body)] as $name => $value) {
            $request .= "$name: $value\r\n";
        }
        $request .= "\r\n$body";
        $stream = $this->connect($timeout);
        try {
            $response = $this->exchange($stream, $request, $deadline);
        } catch (\Throwable $error) {
            fclose($stream);
            throw $error;
        }
        if (strtolower($response->header('connection') ?? '') === 'close') {
            fclose($stream);
        } else {
            stream_set_blocking($stream, true);
        }

        return $response;
    }

    /** @return resource a connection on which no response is due */
    private function connect(float $timeout)
    {
        $flags = STREAM_CLIENT_CONNECT | STREAM_CLIENT_PERSISTENT;
        // A connection may be left over from another page: close those that are not clean.
        for ($try = 0; $try < 2; ++$try) {
            $stream = @stream_socket_client($this->address, $code, $message, $timeout, $flags);
            if ($stream === false) {
                $message = $message !== '' ? $message : 'the TLS handshake failed';
                throw new Unavailable("The session API at $this->origin cannot be reached: $message");
            }
            $isClean = stream_get_meta_data($stream)['blocked'];
            stream_set_blocking($stream, false);
            if ($isClean && fread($stream, 1) === '' && !feof($stream)) {
                return $stream;
            }
            fclose($stream);
        }
        throw new Unavailable("The session API at $this->origin closes connections immediately");
    }

    /** @param resource $stream */
    private function exchange($stream, string $request, float $deadline): Response
    {
        while ($request !== '') {
            $sent = @fwrite($stream, $request);
            if ($sent === false) {
                throw $this->disconnected();
            }
            $request = substr($request, $sent);
            if ($request !== '') {
                $this->wait($stream, $deadline, forWriting: true);
            }
        }
        $buffer = '';
        do {
            $end = $this->readUntil($stream, $buffer, "\r\n\r\n", $deadline);
            $lines = explode("\r\n", substr($buffer, 0, $end));
            $buffer = substr($buffer, $end + 4);
            if (preg_match('~^HTTP/1\.[01] (\d{3})~', array_shift($lines), $match) !== 1) {
                throw new Unavailable("The server at $this->origin does not speak HTTP");
            }
            $status = (int) $match[1];
        } while ($status < 200);
        $head = Response::fromLines($status, $lines, '');
        $body = match (true) {
            $status === 204 || $status === 304 => '',
            strtolower($head->header('transfer-encoding') ?? '') === 'chunked'
                => $this->readChunks($stream, $buffer, $deadline),
            ctype_digit($head->header('content-length') ?? '')
                => $this->take($stream, $buffer, (int) $head->header('content-length'), $deadline),
            default => throw new Unavailable("The server at $this->origin sent a response without a length"),
        };

        if ($buffer !== '') {
            throw new Unavailable("The server at $this->origin sent more than a response");
        }

        return new Response($status, $head->headers, $body);
    }

    /** @param resource $stream */
    private function readChunks($stream, string &$buffer, float $deadline): string
    {
        $body = '';
        do {
            $end = $this->readUntil($stream, $buffer, "\r\n", $deadline);
            $size = strtok(substr($buffer, 0, $end), ';');
            $buffer = substr($buffer, $end + 2);
            if ($size === false || !ctype_xdigit($size)) {
                throw new Unavailable("The server at $this->origin sent a malformed response");
            }
            $chunk = $this->take($stream, $buffer, (int) hexdec($size) + 2, $deadline);
            $body .= substr($chunk, 0, -2);
        } while (hexdec($size) > 0);

        return $body;
    }

    /**
     * Reads until the buffer has this text. Returns its offset.
     *
     * @param resource $stream
     */
    private function readUntil($stream, string &$buffer, string $text, float $deadline): int
    {
        while (($end = strpos($buffer, $text)) === false) {
            $this->read($stream, $buffer, $deadline);
        }

        return $end;
    }

    /**
     * Takes this many bytes.
     *
     * @param resource $stream
     */
    private function take($stream, string &$buffer, int $length, float $deadline): string
    {
        while (\strlen($buffer) < $length) {
            $this->read($stream, $buffer, $deadline);
        }
        $taken = substr($buffer, 0, $length);
        $buffer = substr($buffer, $length);

        return $taken;
    }

    /** @param resource $stream */
    private function read($stream, string &$buffer, float $deadline): void
    {
        // TLS may have decrypted bytes that a wait on the socket would not see.
        while (($bytes = fread($stream, 65536)) === '') {
            if (feof($stream)) {
                throw $this->disconnected();
            }
            $this->wait($stream, $deadline);
        }
        if ($bytes === false) {
            throw $this->disconnected();
        }
        $buffer .= $bytes;
    }

    /** @param resource $stream */
    private function wait($stream, float $deadline, bool $forWriting = false): void
    {
        $left = $deadline - microtime(true);
        $streams = [$stream];
        $none = null;
        $microseconds = (int) max(0, $left * 1e6);
        $ready = $forWriting
            ? stream_select($none, $streams, $none, 0, $microseconds)
            : stream_select($streams, $none, $none, 0, $microseconds);
        if ($left <= 0 || $ready === 0) {
            throw new Unavailable("The session API at $this->origin did not respond in time");
        }
    }

    private function disconnected(): Unavailable
    {
        return new Unavailable("The connection to the session API at $this->origin ended without a response");
    }
}
