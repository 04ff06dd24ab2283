<?php

declare(strict_types=1);

namespace SessionApi\Laravel;

use Illuminate\Auth\Events\OtherDeviceLogout;
use Illuminate\Auth\SessionGuard;
use Illuminate\Contracts\Auth\Factory;
use Illuminate\Http\Request;
use Illuminate\Support\Str;
use SessionApi\Client;

/** Devices of the logged-in user: the sessions they own. */
final class Devices
{
    public function __construct(
        private readonly Handler $handler,
        private readonly Client $client,
        private readonly Factory $auth,
        private readonly Request $request,
    ) {
    }

    /**
     * Lists the user's sessions, newest first. Times are RFC 3339. Pass `handle` to {@see logoutDevice()}; it can't be
     * used to read a session.
     *
     * @return list<array{
     *     handle: string, created: string, used: string, expires: string, label: string|null, current: bool
     * }>
     *
     * @throws \SessionApi\Unavailable
     */
    public function devices(): array
    {
        return $this->client->sessions($this->user(), $this->handler->id());
    }

    /**
     * Ends one of the user's sessions by its handle. Returns whether there was one.
     *
     * @throws \SessionApi\Unavailable
     */
    public function logoutDevice(string $handle): bool
    {
        $isEnded = $this->client->destroyByHandle($this->user(), $handle);
        $this->forgetRemembered();

        return $isEnded;
    }

    /**
     * Ends all of the user's sessions except this one. Returns how many it ended.
     *
     * @throws \SessionApi\Unavailable
     */
    public function logoutOtherDevices(): int
    {
        $destroyed = $this->handler->destroyOthers($this->user());
        $this->forgetRemembered();

        return $destroyed;
    }

    /**
     * Ends all of the user's sessions, including this one, and begins a new one. Returns how many it ended.
     *
     * @throws \SessionApi\Unavailable
     */
    public function logoutEverywhere(): int
    {
        $destroyed = $this->client->destroyAll($this->user());
        $this->forgetRemembered(isHereToo: true);
        $this->handler->forget();

        return $destroyed;
    }

    /**
     * Ends the other sessions when the app calls `Auth::logoutOtherDevices()`.
     *
     * @internal
     *
     * @throws \SessionApi\Unavailable
     */
    public function follow(OtherDeviceLogout $event): void
    {
        $user = $this->handler->name($event->guard, $event->user->getAuthIdentifier());
        if ($user !== null) {
            $this->handler->destroyOthers($user);
            $this->forgetRemembered($event->guard);
        }
    }

    private function user(): string
    {
        return $this->handler->user() ?? throw new \LogicException('The session has no owner: nobody is logged in');
    }

    /**
     * Renews the user's remember token, so that "remember me" can't bring an ended session back. Only this device gets
     * a new cookie, unless `$isHereToo`.
     */
    private function forgetRemembered(?string $guard = null, bool $isHereToo = false): void
    {
        $guard = $this->auth->guard($guard ?? $this->handler->login()[0]);
        $user = $guard->user();
        if (!$guard instanceof SessionGuard || ($user?->getRememberToken() ?? '') === '') {
            return;
        }
        $user->setRememberToken($token = Str::random(60));
        $guard->getProvider()->updateRememberToken($user, $token);
        $name = $guard->getRecallerName();
        $jar = $guard->getCookieJar();
        // Identifier, token, and a hash of the password.
        $cookie = $jar->queued($name)?->getValue() ?? (string) $this->request->cookies->get($name);
        $parts = explode('|', $cookie, 3);
        if (\count($parts) === 3 && !$isHereToo) {
            $jar->queue($jar->forever($name, "$parts[0]|$token|$parts[2]"));
        }
    }
}
