<?php

return [
    'name' => 'Shop',
    'env' => 'local',
    'debug' => true,
    'url' => 'http://localhost',
    'timezone' => 'UTC',
    'locale' => 'en',
    // Just for this demo. For a real app, `php artisan key:generate` makes the key.
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
        // Composer would find this one by itself.
        SessionApi\Laravel\ServiceProvider::class,
        Shop\ShopServiceProvider::class,
    ],
    'aliases' => [],
];
