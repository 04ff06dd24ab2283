<?php

$dynamodb = json_decode($_SERVER['HTTP_X_INI'], true)['dynamodb'] ?? null;
if ($dynamodb !== null) {
    // With Composer, it would be autoloaded.
    require_once getenv('AWS_SDK_PHP');
}

return [
    'default' => 'array',
    'stores' => [
        'array' => ['driver' => 'array'],
        'redis' => ['driver' => 'redis', 'connection' => 'default'],
        'dynamodb' => [
            'driver' => 'dynamodb',
            'key' => getenv('AWS_ACCESS_KEY_ID'),
            'secret' => getenv('AWS_SECRET_ACCESS_KEY'),
            'region' => getenv('AWS_REGION'),
            'table' => 'laravel',
            'endpoint' => $dynamodb,
        ],
    ],
    'prefix' => '',
];
