<?php

declare(strict_types=1);

namespace Shop;

use Illuminate\Http\RedirectResponse;
use Illuminate\Http\Request;
use Illuminate\Http\Response;
use Illuminate\Support\Facades\Auth;
use SessionApi\Laravel\SessionApi;

final class Shop
{
    public function show(Request $request): Response
    {
        $session = $request->session();
        $basket = [];
        foreach ($session->all() as $key => $count) {
            if (str_starts_with($key, 'basket-')) {
                $basket[substr($key, \strlen('basket-'))] = $count;
            }
        }
        $usesApi = config('session.driver') === 'session-api';
        $user = Auth::id();
        $devices = $usesApi && $user !== null ? SessionApi::devices() : [];
        $items = ['apple', 'pear', 'melon'];
        ob_start();
        require __DIR__ . '/../../page.php';

        return new Response(ob_get_clean());
    }

    public function act(Request $request): RedirectResponse
    {
        $session = $request->session();
        // A key for each item, so that parallel requests that add different items merge.
        $add = fn () => $session->increment('basket-' . $request->input('item'));
        match ($request->input('action')) {
            'add' => $add(),
            'slow' => [sleep(2), $add()],
            'login' => Auth::login((new Users())->retrieveById($request->input('user'))),
            'logout' => [Auth::logout(), $session->invalidate()],
            'end' => SessionApi::logoutDevice($request->input('handle')),
        };

        return new RedirectResponse('/', 303);
    }
}
