<?php

declare(strict_types=1);

namespace Shop;

use Illuminate\Routing\Router;
use Illuminate\Support\ServiceProvider;

final class ShopServiceProvider extends ServiceProvider
{
    public function boot(Router $router): void
    {
        $this->app->make('auth')->provider('everybody', fn () => new Users());
        $router->post('{store}/{device}/die', Shop::class . '@die');
        $router->middleware('web')->prefix('{store}/{device}')->group(function (Router $router): void {
            $router->get('/', Shop::class . '@show');
            $router->post('add/{item}', Shop::class . '@add');
            $router->post('login/{user}', Shop::class . '@login');
            $router->post('logout', Shop::class . '@logout');
            $router->post('end', Shop::class . '@end');
        });
    }
}
