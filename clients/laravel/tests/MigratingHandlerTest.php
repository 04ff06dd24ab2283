<?php

declare(strict_types=1);

namespace SessionApi\Laravel\Tests;

use SessionApi\Tests\Browser;

/** Moves from files to the API and back, while the app runs. */
final class MigratingHandlerTest extends TestCase
{
    private string $files;

    protected function setUp(): void
    {
        $this->files = sys_get_temp_dir() . '/session-files-' . bin2hex(random_bytes(8));
        mkdir($this->files);
    }

    protected function tearDown(): void
    {
        exec('rm -rf ' . escapeshellarg($this->files));
    }

    private function visitor(string $driver): Browser
    {
        $options = ['fallback' => 'file', 'fallback_until' => '+1 hour'];

        return $this->browser($options, ['files' => $this->files, 'driver' => $driver]);
    }

    public function testSessionMovesWithTheFirstVisitAndBack(): void
    {
        $browser = $this->visitor('file');
        $browser->visit(['set', 'a', 1]);
        $cookie = $browser->cookie;
        foreach (['session-api-standby', 'session-api', 'session-api', 'session-api-standby', 'file'] as $driver) {
            $browser->ini['driver'] = $driver;
            $page = $browser->visit();
            self::assertNull($page->error);
            self::assertSame(['a' => 1], $page->session, $driver);
            self::assertCount($driver === 'session-api' ? 0 : 1, glob("$this->files/*"), 'it is in one store');
        }
        self::assertSame($cookie, $browser->cookie);
        $browser->ini['driver'] = 'session-api';
        $browser->options['fallback_until'] = '-1 second';
        self::assertSame([], $browser->visit()->session);
    }

    public function testLoggedOutSessionDoesNotComeBackFromTheOtherStore(): void
    {
        foreach (['session-api' => 'file', 'session-api-standby' => 'session-api'] as $driver => $old) {
            foreach ([['invalidate'], ['regenerate', true]] as $step) {
                $browser = $this->visitor($old);
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

    public function testMissingOptionsAreNamed(): void
    {
        $browser = $this->browser(ini: ['driver' => 'session-api-standby']);
        self::assertStringContainsString('the option "fallback"', $browser->visit()->error);
        $browser = $this->browser(['fallback' => 'file']);
        self::assertStringContainsString('Set the option "fallback_until"', $browser->visit()->error);
    }

    /** The roll-outs of both steps and of the way back, each of which reaches some servers before the others. */
    public function testNobodyIsLoggedOutByARollOut(): void
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
