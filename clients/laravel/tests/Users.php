<?php

declare(strict_types=1);

namespace SessionApi\Laravel\Tests;

use Illuminate\Contracts\Auth\Authenticatable;
use Illuminate\Contracts\Auth\UserProvider;

/** Has a user for every name. */
final class Users implements UserProvider
{
    /** Hash of the password "secret". */
    private const SECRET = '$2y$04$3YwAKBtAZkXa5vZ378WWUeQ3Bwk5365YNdFIoTgkxWKqP4mWTjOPC';

    public function retrieveById($identifier): User
    {
        return new User([
            'id' => $identifier,
            'password' => self::SECRET,
            'remember_token' => self::tokens()[$identifier] ?? '',
        ]);
    }

    public function retrieveByToken($identifier, $token): ?User
    {
        $isKnown = $token !== '' && (self::tokens()[$identifier] ?? '') === $token;

        return $isKnown ? $this->retrieveById($identifier) : null;
    }

    public function updateRememberToken(Authenticatable $user, $token): void
    {
        $tokens = [$user->getAuthIdentifier() => $token] + self::tokens();
        file_put_contents(base_path('tokens'), json_encode($tokens), LOCK_EX);
    }

    /** @return array<string, string> */
    private static function tokens(): array
    {
        return is_file(base_path('tokens')) ? json_decode(file_get_contents(base_path('tokens')), true) : [];
    }

    public function rehashPasswordIfRequired(Authenticatable $user, array $credentials, bool $force = false): void
    {
    }

    public function retrieveByCredentials(array $credentials): ?User
    {
        return null;
    }

    public function validateCredentials(Authenticatable $user, array $credentials): bool
    {
        return false;
    }
}
