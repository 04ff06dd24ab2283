<?php

declare(strict_types=1);

// Stands in for Composer's autoloader: loads Debian's Laravel, this package, and the PHP client.
require_once 'Illuminate/autoload.php';
spl_autoload_register(static function (string $class): void {
    $folders = [
        'SessionApi\\Laravel\\Tests\\' => __DIR__,
        'SessionApi\\Laravel\\' => __DIR__ . '/../src',
        'SessionApi\\Tests\\' => __DIR__ . '/../../php/tests',
        'SessionApi\\' => __DIR__ . '/../../php/src',
        'Illuminate\\Foundation\\' => 'Illuminate/Foundation',
    ];
    foreach ($folders as $prefix => $folder) {
        $file = $folder . '/' . str_replace('\\', '/', substr($class, \strlen($prefix))) . '.php';
        if (str_starts_with($class, $prefix) && stream_resolve_include_path($file) !== false) {
            require $file;

            return;
        }
    }
});
require_once 'Illuminate/Foundation/helpers.php';
