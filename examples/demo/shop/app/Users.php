<?php

declare(strict_types=1);

namespace Shop;

use Illuminate\Auth\GenericUser;
use Illuminate\Contracts\Auth\Authenticatable;
use Illuminate\Contracts\Auth\UserProvider;

/** Everybody is a user of this shop, without a password. */
final class Users implements UserProvider
{
    public function retrieveById($identifier): GenericUser
    {
        return new GenericUser(['id' => $identifier, 'remember_token' => '']);
    }

    public function retrieveByToken($identifier, $token): ?GenericUser
    {
        return null;
    }

    public function updateRememberToken(Authenticatable $user, $token): void
    {
    }

    public function retrieveByCredentials(array $credentials): ?GenericUser
    {
        return null;
    }

    public function validateCredentials(Authenticatable $user, array $credentials): bool
    {
        return false;
    }
}
