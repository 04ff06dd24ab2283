<?php

declare(strict_types=1);

use Symfony\Bundle\FrameworkBundle\FrameworkBundle;
use Symfony\Bundle\FrameworkBundle\Kernel\MicroKernelTrait;
use Symfony\Component\HttpFoundation\Request;
use Symfony\Component\HttpFoundation\Response;
use Symfony\Component\HttpKernel\Kernel;
use Symfony\Component\Routing\Loader\Configurator\RoutingConfigurator;

error_reporting(E_ALL & ~E_DEPRECATED);
require 'Symfony/Bundle/FrameworkBundle/autoload.php';
require __DIR__ . '/vendor/autoload.php';

/** Its configuration is the README's, in config. */
final class App extends Kernel
{
    use MicroKernelTrait;

    /** @return iterable<FrameworkBundle> */
    public function registerBundles(): iterable
    {
        return [new FrameworkBundle()];
    }

    public function page(Request $request): Response
    {
        $session = $request->getSession();
        $session->set('visits', $session->get('visits', 0) + 1);

        return new Response((string) $session->get('visits'));
    }

    private function configureRoutes(RoutingConfigurator $routes): void
    {
        $routes->add('page', '/')->controller([self::class, 'page']);
    }
}

(new App('prod', false))->handle(Request::createFromGlobals())->send();
