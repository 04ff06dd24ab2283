<?php

declare(strict_types=1);

namespace SessionApi;

/**
 * AWS Signature Version 4 for API Gateway and Lambda function URLs.
 *
 * libcurl can sign, too, but before 8.10 it sorts some headers wrongly, and it signs an `Expect` that it may not send.
 *
 * @see https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_sigv-create-signed-request.html
 */
final class Signer
{
    private const ALGORITHM = 'AWS4-HMAC-SHA256';
    /** A host that names its service and region. Function URLs may end differently in other partitions. */
    private const AWS_HOST
        = '/\.(?|(execute-api)\.([a-z0-9-]+)\.amazonaws\.com(?:\.cn)?(?::\d+)?$|(lambda)-url\.([a-z0-9-]+)\.)/D';

    /** The service and region are for hosts that don't name them, such as a custom domain. */
    public function __construct(private readonly string $service, private readonly string $region)
    {
    }

    /**
     * Returns the headers of a request, plus those that sign it.
     *
     * @param array<string, string> $headers with lowercase names, without `host`
     *
     * @return array<string, string>
     */
    public function sign(
        string $method,
        string $host,
        string $path,
        array $headers,
        string $body,
        Credentials $credentials,
        \DateTimeImmutable $now,
    ): array {
        $time = $now->setTimezone(new \DateTimeZone('UTC'))->format('Ymd\THis\Z');
        $headers += ['host' => $host, 'x-amz-date' => $time];
        if ($credentials->sessionToken !== null) {
            $headers['x-amz-security-token'] = $credentials->sessionToken;
        }
        ksort($headers, SORT_STRING);
        $canonicalHeaders = '';
        foreach ($headers as $name => $value) {
            $canonicalHeaders .= $name . ':' . preg_replace('/ +/', ' ', trim($value)) . "\n";
        }
        $names = implode(';', array_keys($headers));
        $canonicalRequest = implode("\n", [
            $method,
            self::encodePath($path),
            '',
            $canonicalHeaders,
            $names,
            hash('sha256', $body),
        ]);
        [$service, $region] = preg_match(self::AWS_HOST, $host, $match) === 1
            ? [$match[1], $match[2]]
            : [$this->service, $this->region];
        $scope = substr($time, 0, 8) . "/$region/$service/aws4_request";
        $text = implode("\n", [self::ALGORITHM, $time, $scope, hash('sha256', $canonicalRequest)]);
        $key = 'AWS4' . $credentials->secretKey;
        foreach (explode('/', $scope) as $part) {
            $key = hash_hmac('sha256', $part, $key, true);
        }
        $signature = hash_hmac('sha256', $text, $key);
        $headers['authorization'] = self::ALGORITHM
            . " Credential=$credentials->accessKeyId/$scope, SignedHeaders=$names, Signature=$signature";
        unset($headers['host']);

        return $headers;
    }

    /** Encodes each segment of an already encoded path once more, as every service except S3 requires. */
    private static function encodePath(string $path): string
    {
        return str_replace('%2F', '/', rawurlencode($path));
    }
}
