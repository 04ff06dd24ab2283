<?php

declare(strict_types=1);

// What Composer would generate: Debian's Laravel, the two clients, and the shop.
require_once 'Illuminate/autoload.php';
require_once __DIR__ . '/../../../clients/php/autoload.php';
spl_autoload_register(static function (string $class): void {
    $folders = [
        'SessionApi\\Laravel\\' => __DIR__ . '/../../../clients/laravel/src/',
        'Illuminate\\Foundation\\' => 'Illuminate/Foundation/',
        'Shop\\' => __DIR__ . '/app/',
    ];
    foreach ($folders as $prefix => $folder) {
        $file = $folder . str_replace('\\', '/', substr($class, \strlen($prefix))) . '.php';
        if (str_starts_with($class, $prefix) && stream_resolve_include_path($file) !== false) {
            require $file;
        }
    }
});
require_once 'Illuminate/Foundation/helpers.php';
