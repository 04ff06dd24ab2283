<?php

declare(strict_types=1);

namespace SessionApi\Tests;

/** Runs a PHP script with nginx and php-fpm. */
final class FpmServer
{
    public readonly string $url;
    private readonly string $folder;
    /** @var list<resource> */
    private array $processes = [];

    public function __construct(string $script)
    {
        $this->folder = sys_get_temp_dir() . '/session-api-fpm-' . bin2hex(random_bytes(8));
        mkdir($this->folder);
        $socket = "$this->folder/fpm.sock";
        $user = posix_getpwuid(posix_geteuid())['name'];
        file_put_contents("$this->folder/fpm.conf", <<<INI
            [global]
            error_log = $this->folder/fpm.log
            [app]
            user = $user
            listen = $socket
            listen.mode = 0666
            pm = static
            pm.max_children = 12
            clear_env = no
            INI);
        $address = Server::freeAddress();
        $this->url = "http://$address";
        file_put_contents("$this->folder/nginx.conf", <<<NGINX
            daemon off;
            pid $this->folder/nginx.pid;
            error_log $this->folder/nginx.log;
            events {}
            http {
                access_log off;
                client_body_temp_path $this->folder/body;
                fastcgi_temp_path $this->folder/fastcgi;
                server {
                    listen $address;
                    location / {
                        include /etc/nginx/fastcgi_params;
                        fastcgi_param SCRIPT_FILENAME $script;
                        fastcgi_pass unix:$socket;
                    }
                }
            }
            NGINX);
        [$fpm] = glob('/usr/sbin/php-fpm*');
        $this->start([$fpm, '--nodaemonize', '--allow-to-run-as-root', '--fpm-config', "$this->folder/fpm.conf"]);
        Server::waitFor("unix://$socket");
        $this->start(['nginx', '-c', "$this->folder/nginx.conf"]);
        Server::waitFor("tcp://$address");
    }

    /** @param list<string> $command */
    private function start(array $command): void
    {
        $null = ['file', '/dev/null', 'w'];
        $this->processes[] = proc_open($command, [['pipe', 'r'], $null, $null], $pipes);
    }

    public function stop(): void
    {
        foreach ($this->processes as $process) {
            proc_terminate($process);
            proc_close($process);
        }
        exec('rm -rf ' . escapeshellarg($this->folder));
    }
}
