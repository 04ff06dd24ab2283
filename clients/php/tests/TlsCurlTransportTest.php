<?php

declare(strict_types=1);

namespace SessionApi\Tests;

/** The same tests over TLS, where connections have more state. */
final class TlsCurlTransportTest extends CurlTransportTest
{
    private static string $certificate;
    private static bool $isTrusted = true;

    public static function setUpBeforeClass(): void
    {
        self::$certificate = tempnam(sys_get_temp_dir(), 'session-api-certificate-');
        $file = escapeshellarg(self::$certificate);
        exec(
            'openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes -days 1 -subj /CN=localhost'
            . " -addext subjectAltName=DNS:localhost -keyout $file.key -out $file 2>&1",
            $output,
            $status,
        );
        self::assertSame(0, $status, implode("\n", $output));
        file_put_contents(self::$certificate, file_get_contents(self::$certificate . '.key'), FILE_APPEND);
        self::start([self::$certificate], ['-d', 'curl.cainfo=' . self::$certificate]);
    }

    public static function tearDownAfterClass(): void
    {
        parent::tearDownAfterClass();
        array_map(unlink(...), [self::$certificate, self::$certificate . '.key']);
    }

    protected static function origin(string $url): string
    {
        // The certificate is for localhost, not for the address.
        return str_replace('http://127.0.0.1', self::$isTrusted ? 'https://localhost' : 'https://127.0.0.1', $url);
    }

    public function testServerWithoutATrustedCertificateIsRefused(): void
    {
        self::$isTrusted = false;
        try {
            self::assertStringContainsString('did not respond: SSL', self::page('/small')[0]);
        } finally {
            self::$isTrusted = true;
        }
    }
}
