<?php

declare(strict_types=1);

namespace Shop;

use Illuminate\Http\JsonResponse;
use Illuminate\Http\Request;
use Illuminate\Support\Facades\Auth;
use SessionApi\Laravel\SessionApi;

/** Shows what the shop knows about a visitor, and does what the visitor asks. Each answer names its server. */
final class Shop
{
    public function show(Request $request): JsonResponse
    {
        $basket = [];
        foreach ($request->session()->all() as $key => $count) {
            if (str_starts_with($key, 'basket-')) {
                $basket[substr($key, \strlen('basket-'))] = $count;
            }
        }

        return $this->answer(['basket' => (object) $basket, 'user' => Auth::id()]);
    }

    public function add(Request $request, string $store, string $device, string $item): JsonResponse
    {
        // Laravel has already read the session. Now take as long as a page that calls a payment provider.
        usleep(1000 * (int) $request->query('ms'));
        // One key per item, so that parallel requests that add different items can be merged.
        $request->session()->increment("basket-$item");

        return $this->answer();
    }

    public function login(string $store, string $device, string $user): JsonResponse
    {
        Auth::login((new Users())->retrieveById($user));

        return $this->answer();
    }

    public function logout(Request $request): JsonResponse
    {
        Auth::logout();
        $request->session()->invalidate();

        return $this->answer();
    }

    /** Ends the user's other devices, if the store can list them. */
    public function end(): JsonResponse
    {
        $lists = config('session.driver') === 'session-api';

        return $this->answer(['ended' => $lists ? SessionApi::logoutOtherDevices() : null]);
    }

    /** Kills the server with all its processes, but only after it has answered, so that nobody repeats the request. */
    public function die(): JsonResponse
    {
        exec('(sleep 0.2; kill -KILL -' . posix_getpgrp() . ') >/dev/null 2>&1 &');

        return $this->answer();
    }

    private function answer(array $content = []): JsonResponse
    {
        return new JsonResponse(['server' => getenv('SHOP_SERVER')] + $content);
    }
}
