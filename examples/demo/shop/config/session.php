<?php

return [
    'driver' => getenv('SHOP_STORE') === 'api' ? 'session-api' : 'file',
    'lifetime' => 120,
    'expire_on_close' => false,
    'encrypt' => false,
    'files' => getenv('SHOP_STORAGE'),
    'store' => null,
    'lottery' => [2, 100],
    'cookie' => 'shop',
    // The device's: see index.php.
    'path' => implode('/', array_slice(explode('/', $_SERVER['REQUEST_URI']), 0, 3)),
    'domain' => null,
    'secure' => null,
    'http_only' => true,
    'same_site' => 'lax',
];
