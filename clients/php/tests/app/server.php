<?php

/** Serves the responses that CurlTransportTest needs. Usage: server.php ADDRESS [CERTIFICATE for TLS] */

declare(strict_types=1);

$tls = stream_context_create(['ssl' => ['local_cert' => $argv[2] ?? null]]);
$scheme = isset($argv[2]) ? 'tls' : 'tcp';
$server = stream_socket_server("$scheme://$argv[1]", context: $tls);
$connections = $resetting = [];
$count = 0;
$chunked = "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n";
$response = static fn (string $body, string $headers = ''): string
    => "HTTP/1.1 200 OK\r\n{$headers}content-length: " . \strlen($body) . "\r\n\r\n$body";

while (true) {
    $readable = [$server, ...array_column($connections, 0)];
    $none = null;
    stream_select($readable, $none, $none, null);
    foreach ($readable as $stream) {
        if ($stream === $server) {
            $connection = @stream_socket_accept($server);
            if ($connection !== false) {
                $connections[(int) $connection] = [$connection, ++$count];
            }
            continue;
        }
        if (isset($resetting[(int) $stream])) {
            // Closing a connection with unread bytes resets it.
            unset($connections[(int) $stream], $resetting[(int) $stream]);
            fclose($stream);
            continue;
        }
        $line = fgets($stream);
        if ($line === false) {
            unset($connections[(int) $stream]);
            fclose($stream);
            continue;
        }
        $path = explode(' ', $line)[1];
        while (trim((string) fgets($stream)) !== '');
        [$text, $closes] = match ($path) {
            '/connection' => [$response((string) $connections[(int) $stream][1]), false],
            '/small' => [$response('small'), false],
            '/late' => [$response('late'), false],
            '/close' => [$response('bye'), true],
            '/announced-close' => [$response('bye', "Connection: Close\r\n"), false],
            '/reset-later' => [$response('bye'), false],
            '/twice' => [$response('first') . $response('second'), false],
            '/chunked' => ["$chunked\r\n4;x=y\r\none \r\n3\r\ntwo\r\n0\r\n\r\n", false],
            '/continue' => ["HTTP/1.1 100 Continue\r\n\r\n" . $response('after 100'), false],
            '/garbage' => ["SSH-2.0-OpenSSH\r\n\r\n", false],
            '/bad-chunk' => ["$chunked\r\nxyz\r\n", false],
            '/short' => ["HTTP/1.1 200 OK\r\ncontent-length: 10\r\n\r\nshort", true],
        };
        if ($path === '/late') {
            usleep(1_500_000);
        }
        @fwrite($stream, $text);
        if ($path === '/reset-later') {
            // Like a gateway that has forgotten the connection: it answers the next request with a reset.
            $resetting[(int) $stream] = true;
        }
        if ($closes) {
            unset($connections[(int) $stream]);
            fclose($stream);
        }
    }
}
