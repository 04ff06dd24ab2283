<?php

declare(strict_types=1);

namespace SessionApi\Laravel\Tests;

use Illuminate\Config\Repository;
use Illuminate\Foundation\Application;
use PHPUnit\Framework\TestCase;
use SessionApi\Credentials;
use SessionApi\Laravel\ServiceProvider;
use SessionApi\Options;

/** How the configuration turns into options. */
final class ConfigTest extends TestCase
{
    /** @param array<string, mixed> $config */
    private static function options(array $config): Options
    {
        $app = new Application();
        $app->instance('config', new Repository([
            'session' => ['lifetime' => 120],
            'session-api' => $config + ['url' => 'https://example.com'],
        ]));
        (new ServiceProvider($app))->register();

        return $app->make(Options::class);
    }

    protected function setUp(): void
    {
        putenv('AWS_ACCESS_KEY_ID');
    }

    public function testCachedConfigurationProvidesCredentials(): void
    {
        $options = self::options(['key' => 'id', 'secret' => 'secret', 'token' => 'token']);
        self::assertEquals(new Credentials('id', 'secret', 'token'), ($options->credentials)());
        self::assertNull(self::options([])->credentials);
    }

    public function testCredentialsInTheEnvironmentComeFirst(): void
    {
        putenv('AWS_ACCESS_KEY_ID=fresh');
        try {
            self::assertNull(self::options(['key' => 'id', 'secret' => 'secret'])->credentials);
        } finally {
            putenv('AWS_ACCESS_KEY_ID');
        }
    }

    public function testCachedConfigurationHasTheFunctionUrls(): void
    {
        $value = 'read=http://localhost/r,write=http://localhost/w,destroy=http://localhost/d';
        $server = $_SERVER;
        try {
            foreach (['' => 0, $value => 3] as $variable => $count) {
                $_SERVER['SESSION_API_FUNCTION_URLS'] = $variable;
                $config = require __DIR__ . '/../config/session-api.php';
                self::assertCount($count, self::options($config)->functionUrls);
            }
        } finally {
            $_SERVER = $server;
        }
    }

    public function testLifetimeComesFromTheSessionConfiguration(): void
    {
        self::assertSame(7200, self::options([])->ttl());
    }
}
