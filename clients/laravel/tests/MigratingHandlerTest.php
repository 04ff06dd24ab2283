<?php

declare(strict_types=1);

namespace SessionApi\Laravel\Tests;

use Illuminate\Session\Store;
use PHPUnit\Framework\Attributes\DataProvider;
use SessionApi\Laravel\MigratingHandler;
use SessionApi\Tests\Browser;
use SessionApi\Tests\Server;

/** Moves sessions from another store to the API and back while the app runs. */
final class MigratingHandlerTest extends TestCase
{
    /** @var resource */
    private static $redisServer;
    private static int $redisPort;
    private static \Redis $redis;
    private string $files;
    private \PDO $database;

    public static function setUpBeforeClass(): void
    {
        parent::setUpBeforeClass();
        $address = Server::freeAddress();
        self::$redisPort = (int) explode(':', $address)[1];
        $command = ['redis-server', '--bind', '127.0.0.1', '--port', (string) self::$redisPort, '--save', ''];
        self::$redisServer = proc_open($command, [1 => ['file', '/dev/null', 'w']], $pipes);
        Server::waitFor("tcp://$address");
        self::$redis = new \Redis();
        self::$redis->connect('127.0.0.1', self::$redisPort);
    }

    public static function tearDownAfterClass(): void
    {
        proc_terminate(self::$redisServer);
        proc_close(self::$redisServer);
        parent::tearDownAfterClass();
    }

    protected function setUp(): void
    {
        $this->files = sys_get_temp_dir() . '/session-files-' . bin2hex(random_bytes(8));
        mkdir($this->files);
        self::$redis->flushAll();
        $this->database = new \PDO("sqlite:$this->files.sqlite");
        $this->database->exec(
            'CREATE TABLE sessions (id TEXT PRIMARY KEY, user_id INTEGER, ip_address TEXT, user_agent TEXT,'
            . ' payload TEXT NOT NULL, last_activity INTEGER NOT NULL)',
        );
    }

    protected function tearDown(): void
    {
        exec('rm -rf ' . escapeshellarg($this->files) . '*');
    }

    private function visitor(string $driver, string $fallback = 'file'): Browser
    {
        $options = ['fallback' => $fallback, 'fallback_until' => '+1 hour'];
        $stores = ['files' => $this->files, 'redis' => self::$redisPort];

        return $this->browser($options, ['driver' => $driver] + $stores);
    }

    /** Returns how many sessions a store has. */
    private function countSessions(string $store): int
    {
        return match ($store) {
            'file' => \count(glob("$this->files/*")),
            'database' => $this->database->query('SELECT count(*) FROM sessions')->fetchColumn(),
            'redis' => self::$redis->dbSize(),
        };
    }

    /** @return list<array{string}> */
    public static function stores(): array
    {
        return [['file'], ['database'], ['redis']];
    }

    public function testSessionThatMovesBetweenTwoLooksIsFound(): void
    {
        [$primary, $other] = $this->storesOfAMove(serialize(['a' => 1]));
        $handler = new MigratingHandler($primary, $other, new \DateTimeImmutable('+1 hour'));
        $session = new Store('session', $handler, str_repeat('a', 40));
        $session->start();
        self::assertSame(1, $session->get('a'));
    }

    /** @dataProvider stores */
    #[DataProvider('stores')]
    public function testSessionMovesWithTheFirstVisitAndBack(string $store): void
    {
        $browser = $this->visitor($store, $store);
        $browser->visit(['set', 'a', 1]);
        $cookie = $browser->cookie;
        foreach (['session-api-standby', 'session-api', 'session-api', 'session-api-standby', $store] as $driver) {
            $browser->ini['driver'] = $driver;
            $page = $browser->visit();
            self::assertNull($page->error);
            self::assertSame(['a' => 1], $page->session, $driver);
            self::assertSame($driver === 'session-api' ? 0 : 1, $this->countSessions($store), 'in one store only');
        }
        self::assertSame($cookie, $browser->cookie);
        $browser->ini['driver'] = 'session-api';
        $browser->options['fallback_until'] = '-1 second';
        self::assertSame([], $browser->visit()->session);
    }

    /** @dataProvider stores */
    #[DataProvider('stores')]
    public function testLoggedOutSessionDoesNotComeBackFromTheOtherStore(string $store): void
    {
        foreach (['session-api' => $store, 'session-api-standby' => 'session-api'] as $driver => $old) {
            foreach ([['invalidate'], ['regenerate', true]] as $step) {
                $browser = $this->visitor($old, $store);
                $browser->visit(['set', 'a', 1]);
                $cookie = $browser->cookie;
                $browser->ini['driver'] = $driver;
                self::assertNull($browser->visit($step)->error);
                foreach ([$driver, $old] as $driver) {
                    $browser->cookie = $cookie;
                    $browser->ini['driver'] = $driver;
                    self::assertSame([], $browser->visit()->session, "$driver, $step[0]");
                }
            }
        }
    }

    public function testMovedSessionHasAnOwner(): void
    {
        $browser = $this->visitor('file');
        $browser->visit(['login', $this->user()]);
        $browser->ini['driver'] = 'session-api';
        self::assertNull($browser->visit(['devices'])->error);
        self::assertCount(1, $browser->visit(['devices'])->results[0]);
    }

    public function testReadingAnotherSessionMovesNothing(): void
    {
        [$ada, $browser] = [$this->visitor('file'), $this->visitor('file')];
        $ada->visit(['set', 'cart', 'gold']);
        $browser->visit(['set', 'a', 1]);
        $browser->ini['driver'] = 'session-api';
        self::assertStringContainsString('gold', $browser->visit(['read', $ada->cookie])->results[0]);
        self::assertSame(1, $this->countSessions('file'));
        self::assertSame(['a' => 1], $browser->visit()->session);
        self::assertSame(['cart' => 'gold'], $ada->visit()->session);
    }

    public function testMissingOptionsAreNamed(): void
    {
        $browser = $this->visitor('session-api', 'cookie');
        self::assertStringContainsString('cannot be moved', $browser->visit()->error);
        $browser = $this->browser(ini: ['driver' => 'session-api-standby']);
        self::assertStringContainsString('the option "fallback"', $browser->visit()->error);
        $browser = $this->browser(['fallback' => 'file']);
        self::assertStringContainsString('Set the option "fallback_until"', $browser->visit()->error);
    }

    /** Rolls out both steps, then the way back. Each rollout reaches some servers before the others. */
    public function testNobodyIsLoggedOutByARollout(): void
    {
        $visitors = [];
        for ($n = 0; $n < 200; ++$n) {
            $visitors[] = $this->visitor('file');
        }
        $steps = [
            ['file'], ['file', 'session-api-standby'], ['session-api-standby', 'session-api'], ['session-api'],
            ['session-api', 'session-api-standby'], ['session-api-standby'], ['session-api-standby', 'file'],
        ];
        foreach ($steps as $drivers) {
            foreach (array_chunk($visitors, 16) as $browsers) {
                $visits = [];
                foreach ($browsers as $browser) {
                    $browser->ini['driver'] = $drivers[array_rand($drivers)];
                    $visits[] = [$browser, [['increment', 'visits']]];
                }
                Browser::visitAll($visits);
            }
        }
        foreach ($visitors as $browser) {
            self::assertNull($browser->last->error);
            self::assertSame(['visits' => 7], $browser->last->session);
        }
    }
}
