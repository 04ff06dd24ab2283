<?php

declare(strict_types=1);

// What Composer would generate from composer.json, for machines without Composer.
spl_autoload_register(static function (string $class): void {
    foreach (['SessionApi\\Tests\\' => __DIR__, 'SessionApi\\' => \dirname(__DIR__) . '/src'] as $prefix => $folder) {
        if (str_starts_with($class, $prefix)) {
            require $folder . '/' . str_replace('\\', '/', substr($class, \strlen($prefix))) . '.php';

            return;
        }
    }
});
