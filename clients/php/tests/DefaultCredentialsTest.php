<?php

declare(strict_types=1);

namespace SessionApi\Tests;

use PHPUnit\Framework\Attributes\RunTestsInSeparateProcesses;
use PHPUnit\Framework\TestCase;
use SessionApi\Credentials;
use SessionApi\DefaultCredentials;

/**
 * Credentials are cached per process.
 *
 * @runTestsInSeparateProcesses
 */
#[RunTestsInSeparateProcesses]
final class DefaultCredentialsTest extends TestCase
{
    private const NAMES = [
        'AWS_ACCESS_KEY_ID', 'AWS_SECRET_ACCESS_KEY', 'AWS_SESSION_TOKEN', 'AWS_CONTAINER_CREDENTIALS_FULL_URI',
        'AWS_CONTAINER_AUTHORIZATION_TOKEN', 'AWS_CONTAINER_AUTHORIZATION_TOKEN_FILE',
        'AWS_EC2_METADATA_SERVICE_ENDPOINT', 'AWS_EC2_METADATA_DISABLED',
    ];

    private Server $server;

    protected function setUp(): void
    {
        $this->server = new Server(['-S', 'ADDRESS', __DIR__ . '/app/metadata.php']);
        array_map(putenv(...), self::NAMES);
    }

    protected function tearDown(): void
    {
        $this->server->stop();
    }

    public function testEnvironmentComesFirst(): void
    {
        putenv("AWS_CONTAINER_CREDENTIALS_FULL_URI={$this->server->url}/container");
        putenv('AWS_ACCESS_KEY_ID=id');
        putenv('AWS_SECRET_ACCESS_KEY=secret');
        putenv('AWS_SESSION_TOKEN=token');
        self::assertEquals(new Credentials('id', 'secret', 'token'), (new DefaultCredentials())());
    }

    public function testContainerEndpointIsAskedWithItsToken(): void
    {
        putenv("AWS_CONTAINER_CREDENTIALS_FULL_URI={$this->server->url}/container");
        putenv('AWS_CONTAINER_AUTHORIZATION_TOKEN=in the variable');
        self::assertSame('container in the variable', (new DefaultCredentials())()->accessKeyId);
    }

    public function testTokenFileIsReadAndCredentialsAreCached(): void
    {
        $file = tempnam(sys_get_temp_dir(), 'token');
        file_put_contents($file, "in the file\n");
        putenv("AWS_CONTAINER_CREDENTIALS_FULL_URI={$this->server->url}/container");
        putenv("AWS_CONTAINER_AUTHORIZATION_TOKEN_FILE=$file");
        $credentials = (new DefaultCredentials())();
        self::assertSame('container in the file', $credentials->accessKeyId);
        self::assertSame('the token', $credentials->sessionToken);
        unlink($file);
        self::assertSame($credentials, (new DefaultCredentials())());
    }

    public function testInstanceMetadataIsAskedWithASessionToken(): void
    {
        putenv("AWS_EC2_METADATA_SERVICE_ENDPOINT={$this->server->url}");
        self::assertSame('instance', (new DefaultCredentials())()->accessKeyId);
    }

    public function testCredentialsThatExpireSoonAreFetchedAgain(): void
    {
        putenv("AWS_CONTAINER_CREDENTIALS_FULL_URI={$this->server->url}/expiring");
        $first = (new DefaultCredentials())();
        self::assertNotSame($first->accessKeyId, (new DefaultCredentials())()->accessKeyId);
    }

    public function testMissingCredentialsAreNull(): void
    {
        putenv('AWS_EC2_METADATA_SERVICE_ENDPOINT=http://127.0.0.1:1');
        self::assertNull((new DefaultCredentials())());
        putenv('AWS_EC2_METADATA_DISABLED=true');
        putenv("AWS_EC2_METADATA_SERVICE_ENDPOINT={$this->server->url}");
        self::assertNull((new DefaultCredentials())());
    }

    public function testSecretsAreNotPrinted(): void
    {
        self::assertStringNotContainsString('secret', print_r(new Credentials('id', 'secret', 'secret token'), true));
    }
}
