<?php

declare(strict_types=1);

namespace SessionApi\Tests;

use PHPUnit\Framework\TestCase;
use SessionApi\Credentials;
use SessionApi\Signer;

final class SignerTest extends TestCase
{
    public function testSignatureMatchesTheSdks(): void
    {
        $headers = [
            'session-id' => str_repeat('a', 43),
            'session-user' => '',
            'session-label' => 'Firefox  on%20Linux',
            'content-type' => 'application/octet-stream',
        ];
        // botocore 1.43 computes these signatures for the same requests.
        $signatures = [
            '5955ff810b84b35d9061ef47b04a1050fd313f547cbf04c9518fe1c930133267' => null,
            '5f55367627eae2c37163f57a58ecf8e7aae83c05a4cc8f3fcbe1a6418ad9c984' => 'token==',
        ];
        foreach ($signatures as $signature => $token) {
            $signed = (new Signer('execute-api', 'eu-west-3'))->sign(
                'DELETE',
                'abc.execute-api.eu-central-1.amazonaws.com',
                '/stage/sessions/a%2Cb-_.~',
                $headers,
                "body\xff",
                new Credentials('AKIDEXAMPLE', 'secret', $token),
                new \DateTimeImmutable('2026-11-25T11:00:00+01:00'),
            );
            self::assertStringEndsWith("Signature=$signature", $signed['authorization']);
            self::assertSame('20261125T100000Z', $signed['x-amz-date']);
            self::assertSame($token, $signed['x-amz-security-token'] ?? null);
            self::assertEquals($headers, array_intersect_key($signed, $headers));
            self::assertArrayNotHasKey('host', $signed);
        }
    }
}
