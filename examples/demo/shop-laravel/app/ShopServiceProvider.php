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
        $router->get('/health', fn () => 'ok');
        $router->middleware('web')->group(function (Router $router): void {
            $router->get('/', Shop::class . '@show');
            $router->post('/', Shop::class . '@act');
        });
    }
}
