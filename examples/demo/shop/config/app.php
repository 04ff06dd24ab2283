<?php

return [
    'name' => 'Shop',
    'env' => 'local',
    'debug' => true,
    'url' => 'http://localhost',
    'timezone' => 'UTC',
    'locale' => 'en',
    // Of this demo. `php artisan key:generate` makes the key of an app.
    'key' => 'base64:' . base64_encode('the key of the demo, 32 bytes ok'),
    'cipher' => 'AES-256-CBC',
    'providers' => [
        Illuminate\Auth\AuthServiceProvider::class,
        Illuminate\Cache\CacheServiceProvider::class,
        Illuminate\Cookie\CookieServiceProvider::class,
        Illuminate\Encryption\EncryptionServiceProvider::class,
        Illuminate\Filesystem\FilesystemServiceProvider::class,
        Illuminate\Hashing\HashServiceProvider::class,
        Illuminate\Session\SessionServiceProvider::class,
        // Composer's list of packages would have this one.
        SessionApi\Laravel\ServiceProvider::class,
        Shop\ShopServiceProvider::class,
    ],
    'aliases' => [],
];
