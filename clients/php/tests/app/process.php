<?php

/** A process with several sessions. Prints what happened as JSON. Usage: process.php SCENE */

declare(strict_types=1);

use SessionApi\Client;
use SessionApi\CurlTransport;
use SessionApi\Handler;
use SessionApi\Options;
use SessionApi\Response;
use SessionApi\SessionApi;
use SessionApi\Tests\Decorator;
use SessionApi\Transport;
use SessionApi\Unavailable;

require __DIR__ . '/../autoload.php';

$options = new Options(['retries' => 0]);
$transport = new class (new CurlTransport()) implements Transport {
    public bool $isDown = false;

    public function __construct(private readonly CurlTransport $transport)
    {
    }

    public function send(string $method, string $url, array $headers, string $body, float $timeout): Response
    {
        return $this->isDown
            ? throw new Unavailable('down')
            : $this->transport->send($method, $url, $headers, $body, $timeout);
    }
};
($handler = new Handler($options, $client = new Client($options, $transport)))->install();

/** Starts a session and returns its id. */
$start = function (string $id = '', array $settings = []): string {
    session_id($id);
    session_start($settings);

    return session_id();
};
$make = function (array $data) use ($start): string {
    $id = $start();
    $_SESSION = $data;
    session_write_close();

    return $id;
};
$result = match ($argv[1]) {
    'fork' => (function () use ($make, $start): array {
        $ids = array_map(fn ($user) => $make(['user' => $user]), ['ada' => 'ada', 'bob' => 'bob']);
        $pipes = [];
        foreach ($ids as $user => $id) {
            $pipes[$user] = stream_socket_pair(STREAM_PF_UNIX, STREAM_SOCK_STREAM, 0);
            if (pcntl_fork() === 0) {
                for ($wrong = $i = 0; $i < 100; ++$i) {
                    $start($id);
                    $wrong += $_SESSION['user'] !== $user ? 1 : 0;
                    session_abort();
                }
                fwrite($pipes[$user][0], (string) $wrong);
                posix_kill(getmypid(), SIGKILL);
            }
        }
        pcntl_wait($status);
        pcntl_wait($status);

        return array_map(fn (array $pipe) => fread($pipe[1], 9), $pipes);
    })(),
    'failed login' => (function () use ($make, $start, $transport, $client): array {
        [$bob, $guest] = [$make(['cart' => 'apple']), $make(['cart' => 'pear'])];
        $start($guest);
        $transport->isDown = true;
        try {
            SessionApi::login('ada');
        } catch (Unavailable $error) {
        }
        $transport->isDown = false;
        foreach ([$bob, $guest] as $id) {
            $start($id);
            $_SESSION['n'] = 1;
            session_write_close();
        }

        return [$error?->getMessage(), $client->read($bob)->user, $client->read($guest)->user];
    })(),
    'abandoned login' => (function () use ($make, $start, $client): array {
        $bob = $make(['cart' => 'apple']);
        $start();
        SessionApi::login('ada');
        session_abort();
        $start($bob);
        $_SESSION['n'] = 1;
        session_write_close();

        return [$client->read($bob)->user];
    })(),
    'empty session' => (function () use ($start): array {
        $id = $start();
        session_write_close();
        session_start();
        $_SESSION['cart'] = 'apple';
        session_write_close();
        $start($id);

        return $_SESSION;
    })(),
    'decorated' => (function () use ($make, $start, $handler, $client): array {
        $ada = $make(['cart' => 'gold']);
        session_set_save_handler(new Decorator($handler), true);
        $fixed = str_repeat('f', 64);
        $id = $start($fixed);
        $_SESSION['a'] = 1;
        session_write_close();
        $isChosen = $id === $fixed || $client->read($fixed) !== null;
        $start($ada, ['use_strict_mode' => 0]);
        $cart = $_SESSION['cart'] ?? null;
        session_write_close();
        $new = $start();
        $lookedAt = $handler->read($ada);
        $_SESSION['b'] = 1;
        session_write_close();

        return [$isChosen, $cart, $lookedAt, $client->read($new)?->data];
    })(),
    'lifetime' => (function () use ($start, $client): array {
        $id = $start(settings: ['gc_maxlifetime' => 86400]);
        $_SESSION['a'] = 1;
        session_write_close();

        return [$client->read($id)->ttl];
    })(),
    'labels' => (function () use ($start, $client): array {
        foreach (['Firefox', 'Safari'] as $agent) {
            $_SERVER['HTTP_USER_AGENT'] = $agent;
            $start();
            SessionApi::login($user ??= 'user-' . bin2hex(random_bytes(8)));
            session_write_close();
        }

        return array_column($client->sessions($user), 'label');
    })(),
};
echo json_encode($result);
