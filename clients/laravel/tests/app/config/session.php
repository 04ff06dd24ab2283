<?php

$ini = json_decode($_SERVER['HTTP_X_INI'], true);
$isNew = version_compare(Illuminate\Foundation\Application::VERSION, '13', '>=');

// Like the file in Laravel's skeleton, adapted to the tests.
return [
    'driver' => env('SESSION_DRIVER', 'file'),
    'lifetime' => 120,
    'expire_on_close' => false,
    'encrypt' => isset($ini['encrypt']),
    'serialization' => $ini['serialization'] ?? ($isNew ? 'json' : 'php'),
    'files' => $ini['files'] ?? null,
    'connection' => getenv('SESSION_DRIVER') === 'redis' ? 'default' : null,
    'table' => 'sessions',
    'store' => null,
    'lottery' => [2, 100],
    'cookie' => 'PHPSESSID',
    'path' => '/',
    'domain' => null,
    'secure' => null,
    'http_only' => true,
    'same_site' => 'lax',
];
