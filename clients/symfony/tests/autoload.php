<?php

declare(strict_types=1);

// Stands in for Composer's autoloader: loads Debian's Symfony, this package, and the PHP client.
require_once 'Symfony/Bundle/FrameworkBundle/autoload.php';
require_once 'Symfony/Bundle/SecurityBundle/autoload.php';
require_once __DIR__ . '/InstalledVersions.php';
spl_autoload_register(static function (string $class): void {
    $folders = [
        'SessionApi\\Symfony\\Tests\\' => __DIR__,
        'SessionApi\\Symfony\\' => __DIR__ . '/../src',
        'SessionApi\\Tests\\' => __DIR__ . '/../../php/tests',
        'SessionApi\\' => __DIR__ . '/../../php/src',
    ];
    foreach ($folders as $prefix => $folder) {
        $file = $folder . '/' . str_replace('\\', '/', substr($class, \strlen($prefix))) . '.php';
        if (str_starts_with($class, $prefix) && is_file($file)) {
            require $file;

            return;
        }
    }
});
