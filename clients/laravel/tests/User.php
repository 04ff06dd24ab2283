<?php

declare(strict_types=1);

namespace SessionApi\Laravel\Tests;

use Illuminate\Auth\GenericUser;

/** A user that isn't stored anywhere. */
final class User extends GenericUser
{
    public function forceFill(array $attributes): self
    {
        $this->attributes = $attributes + $this->attributes;

        return $this;
    }

    public function save(): bool
    {
        return true;
    }
}
