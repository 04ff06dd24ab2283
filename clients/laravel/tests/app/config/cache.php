<?php

return [
    'default' => 'array',
    'stores' => ['array' => ['driver' => 'array'], 'redis' => ['driver' => 'redis', 'connection' => 'default']],
    'prefix' => '',
];
