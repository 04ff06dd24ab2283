<?php

declare(strict_types=1);

namespace SessionApi\Laravel\Tests;

use Illuminate\Contracts\Http\Kernel;
use Illuminate\Foundation\Application;
use Illuminate\Http\Request;
use Illuminate\Support\Facades\Facade;
use PHPUnit\Framework\Attributes\RunTestsInSeparateProcesses;
use PHPUnit\Framework\TestCase;
use SessionApi\Laravel\Handler;

/**
 * One app serves many requests, as in Octane. Laravel keeps the session's store and its handler.
 *
 * @runTestsInSeparateProcesses
 */
#[RunTestsInSeparateProcesses]
final class WorkerTest extends TestCase
{
    private static function start(): Application
    {
        $_SERVER = ['HTTP_X_INI' => '{}', 'HTTP_X_OPTIONS' => '{}', 'HTTP_X_CALLS' => '/dev/null'] + $_SERVER;
        putenv('SESSION_DRIVER=session-api');
        error_reporting(E_ALL & ~E_DEPRECATED);

        return App::create(App::install());
    }

    /**
     * @param list<list<mixed>> $steps
     *
     * @return array{string, array<string, mixed>} the session cookie, and the page
     */
    private static function visit(Application $app, ?string $cookie, string $agent, array ...$steps): array
    {
        $cookies = $cookie === null ? [] : ['PHPSESSID' => $cookie];
        $server = ['HTTP_USER_AGENT' => $agent];
        $content = json_encode(array_map(fn (array $step) => $step + [1 => null, 2 => null], $steps));
        $request = Request::create('/', 'POST', [], $cookies, [], $server, $content);
        $response = $app->make(Kernel::class)->handle($request);
        // Octane does this after each request.
        $app->forgetScopedInstances();
        $app->make('auth')->forgetGuards();
        Facade::clearResolvedInstances();
        $app->make('session')->driver()->flush();
        $app->make('session')->driver()->regenerate();
        foreach ($response->headers->getCookies() as $set) {
            $cookie = $set->getName() === 'PHPSESSID' ? $set->getValue() : $cookie;
        }

        return [$cookie, json_decode($response->getContent(), true)];
    }

    public function testVisitorsOfOneWorkerAreKeptApart(): void
    {
        $app = self::start();
        $users = ['Firefox' => 'ada-' . bin2hex(random_bytes(8)), 'Safari' => 'bob-' . bin2hex(random_bytes(8))];
        foreach ($users as $agent => $user) {
            [$cookies[$agent]] = self::visit($app, null, $agent, ['set', 'mine', $agent]);
        }
        foreach ($users as $agent => $user) {
            [$cookies[$agent], $page] = self::visit($app, $cookies[$agent], $agent, ['login', $user]);
            self::assertNull($page['error']);
        }
        [, $page] = self::visit($app, null, 'a stranger', ['set', 'a', 1], ['devices']);
        self::assertStringContainsString('nobody is logged in', $page['error']);
        self::visit($app, $cookies['Firefox'], 'Firefox', ['logout'], ['invalidate'], ['throw']);
        [, $page] = self::visit($app, $cookies['Firefox'], 'Firefox', ['user']);
        self::assertSame([[null], []], [$page['results'], $page['session']]);
        [, $page] = self::visit($app, $cookies['Safari'], 'Safari', ['user'], ['devices']);
        self::assertSame($users['Safari'], $page['results'][0]);
        self::assertSame(['Safari'], array_column($page['results'][1], 'label'));
        self::assertSame(['mine' => 'Safari'], $page['session']);
    }

    public function testManagersMayBindTheDriverToThemselves(): void
    {
        $app = self::start();
        self::visit($app, null, 'Firefox', ['set', 'a', 1]);
        $manager = $app->make('session');
        $creator = (new \ReflectionProperty($manager, 'customCreators'))->getValue($manager)['session-api'];
        self::assertInstanceOf(Handler::class, $creator->bindTo($manager, $manager)($app));
    }
}
