<?php

declare(strict_types=1);

namespace SessionApi\Laravel\Tests;

use Illuminate\Contracts\Auth\Authenticatable;
use Illuminate\Contracts\Auth\UserProvider;

/** Every name is a user. */
final class Users implements UserProvider
{
    public function retrieveById($identifier): User
    {
        return new User(['id' => $identifier, 'password' => app('hash')->make('secret'), 'remember_token' => '']);
    }

    public function retrieveByToken($identifier, $token): ?User
    {
        return null;
    }

    public function updateRememberToken(Authenticatable $user, $token): void
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
