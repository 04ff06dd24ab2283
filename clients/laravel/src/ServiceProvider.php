<?php

declare(strict_types=1);

namespace SessionApi\Laravel;

use Illuminate\Auth\Events\OtherDeviceLogout;
use Illuminate\Contracts\Events\Dispatcher;
use Illuminate\Foundation\Http\Events\RequestHandled;
use Illuminate\Session\CookieSessionHandler;
use SessionApi\Client;
use SessionApi\Credentials;
use SessionApi\Environment;
use SessionApi\Options;

/** Adds the session driver `session-api`, and a cache store of the same name for its locks. */
final class ServiceProvider extends \Illuminate\Support\ServiceProvider
{
    private const NAME = 'session-api';
    /** Driver for step 1 of a move, and for the way back: sessions are in the fallback store. */
    private const STANDBY = 'session-api-standby';
    private const CONFIG = __DIR__ . '/../config/session-api.php';
    /** This package's own options. All others are the PHP client's. */
    private const OWN = [
        'fallback' => 1, 'fallback_until' => 1, 'key' => 1, 'secret' => 1, 'store_previous_url' => 1, 'token' => 1,
    ];

    public function register(): void
    {
        $this->mergeConfigFrom(self::CONFIG, self::NAME);
        $this->app->singleton(Client::class, fn ($app) => new Client($app->make(Options::class)));
        $this->app->singleton(Options::class, fn ($app) => self::options($app['config']));
        // Not a singleton: it belongs to the session, which Octane may keep from request to request.
        $this->app->bind(Handler::class, fn ($app) => self::active($app) ?? throw new \LogicException(
            'Set SESSION_DRIVER to "session-api" to use its locks and devices',
        ));
    }

    public function boot(): void
    {
        $this->publishes([self::CONFIG => $this->app->configPath('session-api.php')], self::NAME);
        $config = $this->app['config'];
        // Read the guard now, because a route may change the default. Managers rebind the closures they're given, so
        // those just call a static one.
        $guard = (string) $config['auth.defaults.guard'];
        foreach ([self::NAME => true, self::STANDBY => false] as $name => $isPrimary) {
            $handler = static fn (): \SessionHandlerInterface => self::handler($guard, $isPrimary);
            $this->app->make('session')->extend($name, fn () => $handler());
        }
        $this->app->make('cache')->extend(
            self::NAME,
            fn ($app) => $app->make('cache')->repository(new LockStore(fn () => app(Handler::class))),
        );
        if ($config['session.driver'] === self::NAME) {
            $config->set('cache.stores.' . self::NAME, ['driver' => self::NAME]);
            $config->set('session.block_store', $config['session.block_store'] ?? self::NAME);
        }
        $this->listen($this->app->make('events'));
    }

    private static function options($config): Options
    {
        $options = array_filter($config[self::NAME], fn ($value) => $value !== null);
        // After config:cache, Laravel doesn't read .env.
        if (isset($options['key'], $options['secret']) && Environment::get('AWS_ACCESS_KEY_ID') === null) {
            $credentials = new Credentials($options['key'], $options['secret'], $options['token'] ?? null);
            $options += ['credentials' => fn () => $credentials];
        }

        return new Options(array_diff_key($options, self::OWN) + [
            'ttl' => $config['session.lifetime'] * 60,
            'label' => fn () => app('request')->userAgent(),
        ]);
    }

    /** Returns the session's handler if the app uses this driver, otherwise null. */
    private static function active($app): ?Handler
    {
        if ($app['config']['session.driver'] !== self::NAME) {
            return null;
        }
        $handler = $app['session']->driver()->getHandler();

        return $handler instanceof MigratingHandler ? $handler->primary() : $handler;
    }

    /** Returns the API's handler, combined with the store that the option `fallback` names. */
    private static function handler(string $guard, bool $isPrimary): \SessionHandlerInterface
    {
        $cookie = fn () => app('request')->cookies->get(config('session.cookie'));
        $storesUrls = config(self::NAME . '.store_previous_url') ?? true;
        $api = new Handler(app(Options::class), app(Client::class), $cookie, $guard, $storesUrls);
        ['fallback' => $name, 'fallback_until' => $until] = config(self::NAME);
        if ($name === null) {
            return $isPrimary ? $api : throw new \InvalidArgumentException(
                'The session driver "session-api-standby" keeps sessions in the store that the option "fallback" in'
                . ' config/session-api.php names. Set it.',
            );
        }
        $fallback = app('session')->driver($name)->getHandler();
        if ($fallback instanceof CookieSessionHandler) {
            throw new \InvalidArgumentException(
                'The option "fallback" in config/session-api.php is "cookie", whose sessions are in browsers and cannot'
                . ' be moved. Remove it.',
            );
        }
        $until = new \DateTimeImmutable($until ?? throw new \InvalidArgumentException(
            'Set the option "fallback_until" in config/session-api.php to the date when the fallback ends.',
        ));

        return $isPrimary
            ? new MigratingHandler($api, $fallback, $until)
            : new MigratingHandler($fallback, $api, $until);
    }

    private function listen(Dispatcher $events): void
    {
        $events->listen(OtherDeviceLogout::class, function (OtherDeviceLogout $event): void {
            if (self::active(app()) !== null) {
                app(Devices::class)->follow($event);
            }
        });
        $events->listen(RequestHandled::class, function (RequestHandled $event): void {
            // The id is dead, and the browser may already have a new one from another request.
            if (self::active(app())?->hasEnded()) {
                $config = config('session');
                foreach ([$config['cookie'], 'XSRF-TOKEN'] as $name) {
                    $event->response->headers->removeCookie($name, $config['path'], $config['domain']);
                }
            }
        });
    }
}
