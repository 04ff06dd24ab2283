<?php

declare(strict_types=1);

namespace SessionApi;

/** AWS credentials to sign requests with. */
final class Credentials
{
    /** Seconds before the expiration when it's time to get new ones. */
    private const MARGIN = 300;

    /** @param int|null $expiration in seconds since 1970; null if they don't expire */
    public function __construct(
        public readonly string $accessKeyId,
        #[\SensitiveParameter] public readonly string $secretKey,
        #[\SensitiveParameter] public readonly ?string $sessionToken = null,
        public readonly ?int $expiration = null,
    ) {
    }

    /** Whether they're valid for a few more minutes. */
    public function areFresh(int $now): bool
    {
        return $this->expiration === null || $this->expiration - self::MARGIN > $now;
    }

    /** Keeps the secrets out of dumps. */
    public function __debugInfo(): array
    {
        return ['accessKeyId' => $this->accessKeyId, 'expiration' => $this->expiration];
    }
}
