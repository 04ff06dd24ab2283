<?php

// Options for the session driver `session-api`. The session lifetime is set by `lifetime` in config/session.php.
return [
    // URL of the API: the stack's output ApiUrl, or http://localhost:9000 for `make run`.
    'url' => env('SESSION_API_URL'),

    // The stack's output FunctionUrls, to send most calls past API Gateway; null to send all of them to `url`.
    'function_urls' => env('SESSION_API_FUNCTION_URLS') ?: null,

    // AWS region to sign for if the URL doesn't name it.
    'region' => env('AWS_REGION', env('AWS_DEFAULT_REGION')),

    // Credentials to sign calls with, so that config:cache keeps them. Leave them empty to use the server's role.
    'key' => env('AWS_ACCESS_KEY_ID'),
    'secret' => env('AWS_SECRET_ACCESS_KEY'),
    'token' => env('AWS_SESSION_TOKEN'),

    // Seconds after which using an unchanged session slides its expiry; null for 5% of the lifetime.
    'touch_after' => null,

    // Seconds for each attempt of a call, and retries of a failed call.
    'timeout' => 5,
    'retries' => 2,

    // Seconds that the old id stays readable after a login and after Session::regenerate(), for requests in flight.
    'grace' => 60,

    // Maximum number of sessions per user, 1 to 100. A login beyond that ends the oldest. null for no limit.
    'max_sessions' => null,

    // Laravel keeps the URL of the last page in the session, so a visit to another page takes a second call. With false,
    // that alone isn't written: back() and url()->previous() then need the browser's Referer header.
    'store_previous_url' => true,

    // To move sessions from another driver, or back: its name, and the date when to stop looking there.
    // See docs/migrate.md in the session API's repository.
    'fallback' => env('SESSION_API_FALLBACK'),
    'fallback_until' => env('SESSION_API_FALLBACK_UNTIL'),
];
