<?php

// Options of the session driver `session-api`. The lifetime of sessions is `lifetime` in config/session.php.
return [
    // URL of the API: the output ApiUrl of the stack, or http://localhost:9000 for `make run`.
    'url' => env('SESSION_API_URL'),

    // AWS region that signatures are for.
    'region' => env('AWS_REGION', env('AWS_DEFAULT_REGION')),

    // Credentials that sign calls, for config:cache. Without them, the role of the server is used.
    'key' => env('AWS_ACCESS_KEY_ID'),
    'secret' => env('AWS_SECRET_ACCESS_KEY'),
    'token' => env('AWS_SESSION_TOKEN'),

    // Seconds after which the use of an unchanged session slides its expiry; null for a twentieth of the lifetime.
    'touch_after' => null,

    // Seconds for each attempt of a call, and retries of a call that failed.
    'timeout' => 5,
    'retries' => 2,

    // Seconds that the old id stays readable after a login and after Session::regenerate(), for requests in flight.
    'grace' => 60,

    // Number of sessions that a user may have, 1 to 100: a login ends the oldest ones above it. null for no limit.
    'max_sessions' => null,

    // For a move from another session driver, or back: its name, and the date when it is no longer looked at.
    // See docs/migrate.md of the session API.
    'fallback' => env('SESSION_API_FALLBACK'),
    'fallback_until' => env('SESSION_API_FALLBACK_UNTIL'),
];
