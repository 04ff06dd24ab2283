<?php

declare(strict_types=1);

namespace SessionApi\Laravel\Tests;

use Illuminate\Http\Request;

/** Middleware that switches to the session whose id is in a header, like an app that logs users in by a token. */
final class Switching
{
    public function handle(Request $request, \Closure $next): mixed
    {
        $request->session()->setId(json_decode($request->header('X-Ini'), true)['id']);
        $request->session()->start();

        return $next($request);
    }
}
