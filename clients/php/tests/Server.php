<?php

declare(strict_types=1);

namespace SessionApi\Tests;

/** PHP in a separate process that serves a script. */
final class Server
{
    public readonly string $url;
    /** @var resource */
    private $process;

    /** @param list<string> $arguments of `php`; `ADDRESS` becomes the address to listen on */
    public function __construct(array $arguments, int $workers = 1)
    {
        $address = self::freeAddress();
        $this->url = "http://$address";
        $command = [PHP_BINARY, ...str_replace('ADDRESS', $address, $arguments)];
        $null = ['file', '/dev/null', 'w'];
        $environment = ['PHP_CLI_SERVER_WORKERS' => (string) $workers] + getenv();
        $this->process = proc_open($command, [['pipe', 'r'], $null, $null], $pipes, null, $environment);
        self::waitFor("tcp://$address");
    }

    /** Returns an address that's free to listen on. */
    public static function freeAddress(): string
    {
        $probe = stream_socket_server('tcp://127.0.0.1:0');
        $address = stream_socket_get_name($probe, false);
        fclose($probe);

        return $address;
    }

    /** Waits until something listens on this socket. */
    public static function waitFor(string $socket): void
    {
        for ($try = 0; $try < 1500; ++$try) {
            if (@stream_socket_client($socket) !== false) {
                return;
            }
            usleep(20_000);
        }
        throw new \RuntimeException("nothing listens on $socket");
    }

    public function stop(): void
    {
        // The workers of php -S don't end with their parent by themselves.
        exec('pkill -TERM -P ' . proc_get_status($this->process)['pid']);
        proc_terminate($this->process);
        proc_close($this->process);
    }
}
