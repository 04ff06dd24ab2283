<?php

declare(strict_types=1);

namespace SessionApi\Laravel;

use Illuminate\Auth\Events\CurrentDeviceLogout;
use Illuminate\Auth\Events\Login;
use Illuminate\Auth\Events\Logout;
use Illuminate\Auth\Events\OtherDeviceLogout;
use Illuminate\Contracts\Events\Dispatcher;
use SessionApi\Client;
use SessionApi\Options;

/** Adds the session driver `session-api`, and the cache store of the same name for its locks. */
final class ServiceProvider extends \Illuminate\Support\ServiceProvider
{
    private const NAME = 'session-api';
    /** Driver for the first step of a move, and for the way back: sessions are in the fallback store. */
    private const STANDBY = 'session-api-standby';
    private const CONFIG = __DIR__ . '/../config/session-api.php';

    public function register(): void
    {
        $this->mergeConfigFrom(self::CONFIG, self::NAME);
        $this->app->singleton(Client::class, fn () => new Client($this->app->make(Options::class)));
        $this->app->singleton(Options::class, function (): Options {
            $options = array_filter($this->app['config'][self::NAME], fn ($value) => $value !== null);
            unset($options['fallback'], $options['fallback_until']);

            return new Options($options + [
                'ttl' => $this->app['config']['session.lifetime'] * 60,
                'label' => fn () => $this->app['request']->userAgent(),
            ]);
        });
        $this->app->singleton(Handler::class, fn () => new Handler(
            $this->app->make(Options::class),
            $this->app->make(Client::class),
            fn () => $this->app['request']->cookies->get($this->app['config']['session.cookie']),
        ));
    }

    public function boot(): void
    {
        $this->publishes([self::CONFIG => $this->app->configPath('session-api.php')], self::NAME);
        $this->app->make('session')->extend(self::NAME, fn () => $this->handler(isPrimary: true));
        $this->app->make('session')->extend(self::STANDBY, fn () => $this->handler(isPrimary: false));
        $this->app->make('cache')->extend(
            self::NAME,
            fn ($app) => $app->make('cache')->repository(new LockStore($app->make(Handler::class))),
        );
        $config = $this->app['config'];
        $this->followLogins($this->app->make('events'));
        if ($config['session.driver'] === self::NAME) {
            $config->set('cache.stores.' . self::NAME, ['driver' => self::NAME]);
            $config->set('session.block_store', $config['session.block_store'] ?? self::NAME);
        }
    }

    /** Returns the handler of the API, with the store of the option `fallback` beside it. */
    private function handler(bool $isPrimary): \SessionHandlerInterface
    {
        $api = $this->app->make(Handler::class);
        ['fallback' => $name, 'fallback_until' => $until] = $this->app['config'][self::NAME];
        if ($name === null) {
            return $isPrimary ? $api : throw new \InvalidArgumentException(
                'The session driver "session-api-standby" keeps sessions in the store that the option "fallback" in'
                . ' config/session-api.php names. Set it.',
            );
        }
        $fallback = $this->app->make('session')->driver($name)->getHandler();
        $until = new \DateTimeImmutable($until ?? throw new \InvalidArgumentException(
            'Set the option "fallback_until" in config/session-api.php to the date when the fallback ends.',
        ));

        return $isPrimary
            ? new MigratingHandler($api, $fallback, $until)
            : new MigratingHandler($fallback, $api, $until);
    }

    /**
     * Makes the user who logs in the owner of the session. A logout makes it the session of the user who is still
     * logged in with another guard, or of nobody.
     */
    private function followLogins(Dispatcher $events): void
    {
        $handler = fn (): Handler => $this->app->make(Handler::class);
        $name = fn (Login|OtherDeviceLogout $event): string
            => $this->name($event->guard, $event->user->getAuthIdentifier());
        $events->listen(Login::class, fn (Login $event) => $handler()->setUser($name($event)));
        $events->listen(
            [Logout::class, CurrentDeviceLogout::class],
            fn (Logout|CurrentDeviceLogout $event) => $handler()->setUser($this->ownerWithout($event->guard)),
        );
        $events->listen(OtherDeviceLogout::class, function (OtherDeviceLogout $event) use ($handler, $name): void {
            if ($this->app['config']['session.driver'] === self::NAME) {
                $handler()->destroyOthers($name($event));
            }
        });
    }

    /** Returns the name of a user who is logged in with another guard than this one, or an empty string. */
    private function ownerWithout(string $excluded): string
    {
        foreach ($this->app['config']['auth.guards'] as $guard => ['driver' => $driver]) {
            if ($guard === $excluded || $driver !== 'session') {
                continue;
            }
            $identifier = $this->app['session']->get($this->app['auth']->guard($guard)->getName());
            if ($identifier !== null) {
                return $this->name($guard, $identifier);
            }
        }

        return '';
    }

    /** Returns the name of a user in the API: the identifier, with the guard unless it is the default one. */
    private function name(string $guard, int|string $identifier): string
    {
        return $guard === $this->app['config']['auth.defaults.guard'] ? (string) $identifier : "$guard:$identifier";
    }
}
