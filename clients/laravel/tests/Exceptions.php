<?php

declare(strict_types=1);

namespace SessionApi\Laravel\Tests;

use Illuminate\Foundation\Exceptions\Handler;
use Symfony\Component\HttpFoundation\JsonResponse;

/** Renders exceptions as pages that {@see \SessionApi\Tests\Page} can parse. */
final class Exceptions extends Handler
{
    public function report(\Throwable $e): void
    {
    }

    public function render($request, \Throwable $e): JsonResponse
    {
        return new JsonResponse([
            'id' => '',
            'isActive' => false,
            'session' => [],
            'results' => [],
            'error' => $e::class . ': ' . $e->getMessage(),
            'warnings' => [],
        ], 500);
    }
}
