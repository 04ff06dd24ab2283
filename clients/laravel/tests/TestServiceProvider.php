<?php

declare(strict_types=1);

namespace SessionApi\Laravel\Tests;

use Illuminate\Routing\Router;
use SessionApi\Client;
use SessionApi\Options;
use SessionApi\CurlTransport;
use SessionApi\Tests\Calls;

/** The app's routes and users, and a client that records its calls. */
final class TestServiceProvider extends \Illuminate\Support\ServiceProvider
{
    public function boot(Router $router): void
    {
        $options = json_decode($_SERVER['HTTP_X_OPTIONS'], true);
        config(['session-api' => $options + config('session-api')]);
        $this->app->singleton(Client::class, function (): Client {
            $options = $this->app->make(Options::class);

            return new Client($options, new Calls(new CurlTransport(), $_SERVER['HTTP_X_CALLS']));
        });
        $this->app->make('auth')->provider('memory', fn () => new Users());
        $router->middleware('web')->group(function (Router $router): void {
            $router->any('/', Steps::class . '@do');
            $router->any('/blocked', Steps::class . '@do')->block(10, 10);
            $router->any('/long', Steps::class . '@do')->block(61, 10);
            $router->any('/switch', Steps::class . '@do')->middleware(Switching::class);
            $router->any('/impatient', Steps::class . '@do')->block(10, 0);
        });
    }
}
