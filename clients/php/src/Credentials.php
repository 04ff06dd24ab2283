<?php

declare(strict_types=1);

namespace SessionApi;

/** Credentials that sign requests. */
final class Credentials
{
    /** Seconds before their expiration at which new ones are needed. */
    private const MARGIN = 300;

    /** @param int|null $expiration in seconds since 1970; null if they do not expire */
    public function __construct(
        public readonly string $accessKeyId,
        #[\SensitiveParameter] public readonly string $secretKey,
        #[\SensitiveParameter] public readonly ?string $sessionToken = null,
        public readonly ?int $expiration = null,
    ) {
    }

    /** Whether they are still valid for some minutes. */
    public function areFresh(int $now): bool
    {
        return $this->expiration === null || $this->expiration - self::MARGIN > $now;
    }

    /** Hides the secrets. */
    public function __debugInfo(): array
    {
        return ['accessKeyId' => $this->accessKeyId, 'expiration' => $this->expiration];
    }
}
