<?php

declare(strict_types=1);

namespace SessionApi\Laravel\Tests;

use Illuminate\Http\JsonResponse;
use Illuminate\Http\Request;
use Illuminate\Support\Facades\Auth;
use Illuminate\Support\Stringable;
use SessionApi\Laravel\SessionApi;

/** Does a page's steps and shows the session after them. */
final class Steps
{
    public function do(Request $request): JsonResponse
    {
        $session = $request->session();
        $results = [];
        foreach (json_decode($request->getContent() ?: '[]', true) as [$step, $a, $b]) {
            $results[] = match ($step) {
                'set' => $session->put($a, $b),
                'unset' => $session->forget($a),
                'increment' => $session->increment($a),
                'flash' => $session->flash($a, $b),
                'sleep' => usleep($a * 1000),
                'now' => microtime(true),
                'migrate' => $session->migrate($a),
                'regenerate' => $session->regenerate($a),
                'invalidate' => $session->invalidate(),
                'save' => $session->save(),
                'destroyOwn' => $session->getHandler()->destroy($session->getId()),
                'start' => $session->start(),
                'read' => $session->getHandler()->read($a),
                'write' => $session->getHandler()->write($a, serialize($b)),
                'end' => $session->getHandler()->destroy($a),
                'login' => Auth::guard($b)->login((new Users())->retrieveById($a)),
                'remember' => Auth::login((new Users())->retrieveById($a), remember: true),
                'loginObject' => Auth::login(new User(['id' => new Stringable($a)])),
                'shouldUse' => Auth::shouldUse($a),
                'flashes' => $session->get($a),
                'logout' => Auth::guard($b)->logout(),
                'user' => Auth::id(),
                'authLogoutOtherDevices' => Auth::logoutOtherDevices('secret') !== null,
                'devices' => SessionApi::devices(),
                'logoutDevice' => SessionApi::logoutDevice($a),
                'logoutOtherDevices' => SessionApi::logoutOtherDevices(),
                'logoutEverywhere' => SessionApi::logoutEverywhere(),
                'throw' => throw new \RuntimeException('the page failed'),
            };
        }
        $data = array_filter($session->all(), fn ($key) => !str_starts_with($key, '_'), ARRAY_FILTER_USE_KEY);

        return new JsonResponse([
            'id' => $session->getId(),
            'isActive' => $session->isStarted(),
            'session' => array_filter($data, fn ($key) => !str_starts_with($key, 'login_'), ARRAY_FILTER_USE_KEY),
            'results' => $results,
            'error' => null,
            'warnings' => [],
        ]);
    }
}
