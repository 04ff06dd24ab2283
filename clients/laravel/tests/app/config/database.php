<?php

$stores = json_decode($_SERVER['HTTP_X_INI'], true);

return [
    'default' => 'sqlite',
    'connections' => [
        'sqlite' => ['driver' => 'sqlite', 'database' => ($stores['files'] ?? '') . '.sqlite', 'prefix' => ''],
    ],
    'redis' => ['client' => 'phpredis', 'default' => ['host' => '127.0.0.1', 'port' => $stores['redis'] ?? null]],
];
