<?php

declare(strict_types=1);

namespace SessionApi\Laravel\Tests;

use Illuminate\Cookie\Middleware\AddQueuedCookiesToResponse;
use Illuminate\Foundation\Http\Kernel;
use Illuminate\Routing\Middleware\SubstituteBindings;
use Illuminate\Session\Middleware\StartSession;

/** The kernel from Laravel's skeleton, without cookie encryption and CSRF tokens. */
final class HttpKernel extends Kernel
{
    protected $middlewareGroups = [
        'web' => [AddQueuedCookiesToResponse::class, StartSession::class, SubstituteBindings::class],
    ];
}
