<?php

declare(strict_types=1);

namespace SessionApi;

/**
 * Finds credentials as the AWS SDKs do on a server: in the environment, at a container's endpoint (ECS, EKS Pod
 * Identity), or at the instance metadata service (IMDSv2).
 *
 * For profiles and web identities, use an SDK, and pass its provider as the option `credentials`.
 *
 * @see https://docs.aws.amazon.com/sdkref/latest/guide/standardized-credentials.html
 */
final class DefaultCredentials
{
    private const CONTAINER_HOST = 'http://169.254.170.2';
    private const INSTANCE_HOST = 'http://169.254.169.254';
    private const CACHE_KEY = 'credentials';

    /**
     * Returns the server's credentials, or null if it has none.
     *
     * @throws Unavailable if the container's or the metadata endpoint has no usable credentials
     */
    public function __invoke(): ?Credentials
    {
        return $this->fromVariables()
            ?? $this->cached()
            ?? $this->cache($this->fromContainer() ?? $this->fromInstance());
    }

    /** Returns the credentials in the environment variables, or null. */
    public function fromVariables(): ?Credentials
    {
        $accessKeyId = Environment::get('AWS_ACCESS_KEY_ID');
        $secretKey = Environment::get('AWS_SECRET_ACCESS_KEY');

        return $accessKeyId === null || $secretKey === null
            ? null
            : new Credentials($accessKeyId, $secretKey, Environment::get('AWS_SESSION_TOKEN'));
    }

    private function cached(): ?Credentials
    {
        $cached = Memory::get(self::CACHE_KEY);

        return $cached?->areFresh(time()) ? $cached : null;
    }

    private function cache(?Credentials $credentials): ?Credentials
    {
        if ($credentials !== null) {
            Memory::set(self::CACHE_KEY, $credentials, 3600);
        }

        return $credentials;
    }

    private function fromContainer(): ?Credentials
    {
        $path = Environment::get('AWS_CONTAINER_CREDENTIALS_RELATIVE_URI');
        $url = $path !== null ? self::CONTAINER_HOST . $path : Environment::get('AWS_CONTAINER_CREDENTIALS_FULL_URI');
        if ($url === null) {
            return null;
        }
        // EKS renews the token in this file.
        $file = Environment::get('AWS_CONTAINER_AUTHORIZATION_TOKEN_FILE');
        $token = $file !== null ? @file_get_contents($file) : Environment::get('AWS_CONTAINER_AUTHORIZATION_TOKEN');
        if ($token === false) {
            throw new Unavailable("AWS_CONTAINER_AUTHORIZATION_TOKEN_FILE is \"$file\", which can't be read");
        }
        $headers = $token !== null ? ['Authorization: ' . trim($token)] : [];

        return self::parse(self::get($url, $headers) ?? throw new Unavailable("no credentials at $url"));
    }

    private function fromInstance(): ?Credentials
    {
        if (strtolower(Environment::get('AWS_EC2_METADATA_DISABLED') ?? '') === 'true') {
            return null;
        }
        $host = rtrim(Environment::get('AWS_EC2_METADATA_SERVICE_ENDPOINT') ?? self::INSTANCE_HOST, '/');
        $token = self::get("$host/latest/api/token", ['X-aws-ec2-metadata-token-ttl-seconds: 300'], 'PUT');
        if ($token === null) {
            return null;
        }
        $headers = ["X-aws-ec2-metadata-token: $token"];
        $roles = "$host/latest/meta-data/iam/security-credentials/";
        $role = trim(self::get($roles, $headers) ?? '');

        return $role === '' ? null : self::parse(self::get($roles . $role, $headers) ?? '');
    }

    private static function parse(string $document): Credentials
    {
        $fields = json_decode($document, true);
        $expiration = strtotime($fields['Expiration'] ?? '');
        if (!isset($fields['AccessKeyId'], $fields['SecretAccessKey']) || $expiration === false) {
            throw new Unavailable('the credentials endpoint sent something else');
        }

        $token = $fields['Token'] ?? null;

        return new Credentials($fields['AccessKeyId'], $fields['SecretAccessKey'], $token, $expiration);
    }

    /**
     * Returns the body of a response with status 200, otherwise null.
     *
     * @param list<string> $headers
     */
    private static function get(string $url, array $headers, string $method = 'GET'): ?string
    {
        $curl = curl_init($url);
        curl_setopt_array($curl, [
            CURLOPT_CUSTOMREQUEST => $method,
            CURLOPT_HTTPHEADER => $headers,
            CURLOPT_RETURNTRANSFER => true,
            CURLOPT_CONNECTTIMEOUT_MS => 1000,
            CURLOPT_TIMEOUT_MS => 2000,
            CURLOPT_PROXY => '',
            CURLOPT_PROTOCOLS => CURLPROTO_HTTP | CURLPROTO_HTTPS,
        ]);
        $body = curl_exec($curl);

        return $body !== false && curl_getinfo($curl, CURLINFO_RESPONSE_CODE) === 200 ? $body : null;
    }
}
