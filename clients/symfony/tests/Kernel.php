<?php

declare(strict_types=1);

namespace SessionApi\Symfony\Tests;

use SessionApi\Client;
use SessionApi\CurlTransport;
use SessionApi\Handler;
use SessionApi\Options;
use SessionApi\Symfony\SessionSubscriber;
use SessionApi\Tests\Calls;
use Symfony\Bundle\FrameworkBundle\FrameworkBundle;
use Symfony\Bundle\FrameworkBundle\Kernel\MicroKernelTrait;
use Symfony\Bundle\SecurityBundle\SecurityBundle;
use Symfony\Component\DependencyInjection\Loader\Configurator\ContainerConfigurator;
use Symfony\Component\HttpFoundation\JsonResponse;
use Symfony\Component\HttpFoundation\Request;
use Symfony\Component\HttpFoundation\Session\Storage\Handler\MigratingSessionHandler;
use Symfony\Component\HttpFoundation\Session\Storage\Handler\NativeFileSessionHandler;
use Symfony\Component\HttpFoundation\Session\Storage\Handler\StrictSessionHandler;
use Symfony\Component\HttpKernel\Event\ExceptionEvent;
use Symfony\Component\HttpKernel\Kernel as BaseKernel;
use Symfony\Component\Routing\Loader\Configurator\RoutingConfigurator;
use Symfony\Component\Security\Core\Authentication\Token\Storage\TokenStorageInterface;
use Symfony\Component\Security\Http\Event\LogoutEvent;

use function Symfony\Component\DependencyInjection\Loader\Configurator\inline_service;
use function Symfony\Component\DependencyInjection\Loader\Configurator\service;

/** A Symfony app, configured as the README says. Its pages do the steps in the request's body. */
final class Kernel extends BaseKernel
{
    use MicroKernelTrait;

    /** Compiles the app's container, for the servers that this process starts. It's deleted when the process ends. */
    public static function install(): void
    {
        $folder = sys_get_temp_dir() . '/session-api-symfony-' . bin2hex(random_bytes(8));
        putenv("TEST_CACHE=$folder");
        foreach (['prod', 'mirror'] as $environment) {
            (new self($environment, false))->boot();
        }
        register_shutdown_function(fn () => exec('rm -rf ' . escapeshellarg($folder)));
    }

    /** @return iterable<\Symfony\Component\HttpKernel\Bundle\BundleInterface> */
    public function registerBundles(): iterable
    {
        return [new FrameworkBundle(), new SecurityBundle()];
    }

    public function getProjectDir(): string
    {
        return __DIR__;
    }

    public function getCacheDir(): string
    {
        return getenv('TEST_CACHE') . "/$this->environment";
    }

    public function getLogDir(): string
    {
        return getenv('TEST_CACHE');
    }

    /** Options that the request asks for. */
    public static function options(): Options
    {
        return new Options(json_decode($_SERVER['HTTP_X_OPTIONS'], true));
    }

    /** Transport that records the calls in the file that the request names. */
    public static function transport(): Calls
    {
        return new Calls(new CurlTransport(), $_SERVER['HTTP_X_CALLS']);
    }

    public function do(Request $request, Handler $handler, TokenStorageInterface $tokens): JsonResponse
    {
        $session = $request->getSession();
        if ($request->getPathInfo() !== '/api') {
            // Symfony gives no new id to a session that hasn't started.
            $session->start();
        }
        $results = [];
        foreach (json_decode($request->getContent(), true) as [$step, $a, $b]) {
            $results[] = match ($step) {
                'set' => $session->set($a, $b),
                'unset' => $session->remove($a),
                'increment' => $session->set($a, $session->get($a, 0) + 1),
                'flash' => $session->getFlashBag()->add($a, $b),
                'flashes' => $session->getFlashBag()->get($a),
                'sleep' => usleep($a * 1000),
                'migrate' => $session->migrate($a),
                'invalidate' => $session->invalidate(),
                'save' => $session->save(),
                'login' => $handler->login($a),
                'user' => $tokens->getToken()?->getUserIdentifier(),
                'devices' => $handler->devices(),
                'logoutDevice' => $handler->logoutDevice($a),
                'logoutOtherDevices' => $handler->logoutOtherDevices(),
                'logoutEverywhere' => $handler->logoutEverywhere(),
            };
        }

        return new JsonResponse(self::page($session->getId(), array_filter(
            $session->isStarted() ? $session->all() : [],
            fn (string $name): bool => !str_starts_with($name, '_'),
            ARRAY_FILTER_USE_KEY,
        ), $results));
    }

    /** Shows a page, where Symfony would redirect. */
    public function onLogout(LogoutEvent $event): void
    {
        $event->setResponse(new JsonResponse(self::page()));
    }

    /** Shows an error as a page that {@see \SessionApi\Tests\Page} can parse. */
    public function onError(ExceptionEvent $event): void
    {
        $error = $event->getThrowable();
        $page = ['error' => $error::class . ': ' . $error->getMessage()] + self::page();
        $event->setResponse(new JsonResponse($page, 500));
    }

    /**
     * @param array<string, mixed> $session
     * @param list<mixed> $results
     *
     * @return array<string, mixed>
     */
    private static function page(string $id = '', array $session = [], array $results = []): array
    {
        return [
            'id' => $id,
            'isActive' => true,
            'session' => $session,
            'results' => $results,
            'error' => null,
            'warnings' => [],
        ];
    }

    private function configureContainer(ContainerConfigurator $container): void
    {
        $container->extension('framework', [
            'secret' => 'of the tests',
            'session' => [
                'handler_id' => $this->environment === 'mirror' ? MigratingSessionHandler::class : Handler::class,
                'storage_factory_id' => 'session.storage.factory.native',
                'metadata_update_threshold' => 360,
                'gc_maxlifetime' => 7200,
            ],
        ]);
        $firewall = ['lazy' => true, 'context' => 'main', 'custom_authenticators' => [Users::class]];
        // Later versions have no other kind of firewall.
        $container->extension('security', (self::MAJOR_VERSION < 6 ? ['enable_authenticator_manager' => true] : []) + [
            'providers' => ['users' => ['id' => Users::class]],
            'firewalls' => [
                'api' => ['pattern' => '^/api', 'stateless' => true] + $firewall,
                'keeping' => [
                    'pattern' => '^/keeping',
                    'logout' => ['path' => '/keeping', 'invalidate_session' => false],
                ] + $firewall,
                'main' => ['logout' => ['path' => '/logout']] + $firewall,
            ],
        ]);
        $services = $container->services()->defaults()->autowire()->autoconfigure();
        $services->set(Options::class)->factory([self::class, 'options']);
        $services->set(Calls::class)->factory([self::class, 'transport']);
        $services->set(Client::class)->arg('$transport', service(Calls::class));
        $services->set(Handler::class)->arg('$throws', true);
        $services->set(SessionSubscriber::class);
        $files = inline_service(NativeFileSessionHandler::class)->args([getenv('TEST_CACHE') . '/sessions']);
        $services->set(MigratingSessionHandler::class)
            ->args([inline_service(StrictSessionHandler::class)->args([$files]), service(Handler::class)]);
        $services->set(Users::class);
        $services->get('kernel')
            ->tag('kernel.event_listener', ['event' => 'kernel.exception', 'method' => 'onError'])
            ->tag('kernel.event_listener', ['event' => LogoutEvent::class, 'method' => 'onLogout']);
    }

    private function configureRoutes(RoutingConfigurator $routes): void
    {
        foreach (['/', '/api', '/keeping', '/logout'] as $path) {
            $routes->add($path, $path)->controller([self::class, 'do']);
        }
    }
}
