<?php

declare(strict_types=1);

namespace SessionApi\Laravel;

use Illuminate\Cache\Lock;
use Illuminate\Contracts\Cache\LockTimeoutException;
use SessionApi\Client;
use SessionApi\Locked;

/** The API's own lock on a session. It comes with the session's data, so reading it takes no further call. */
final class SessionLock extends Lock
{
    /** Laravel names a session's lock with this prefix and the id. */
    private const PREFIX = 'session:';

    private readonly string $id;

    /**
     * @param string $name
     * @param int $seconds
     * @param string|null $owner
     */
    public function __construct(private readonly Handler $handler, $name, $seconds, $owner = null)
    {
        parent::__construct($name, $seconds, $owner);
        if (!str_starts_with($name, self::PREFIX)) {
            throw new \LogicException('The cache store "session-api" only has session locks');
        }
        if ($seconds < 1 || $seconds > Client::MAX_LEASE) {
            throw new \InvalidArgumentException(
                "A session's lock lasts 1 to " . Client::MAX_LEASE . " s, and ->block() asks for $seconds s",
            );
        }
        $this->id = substr($name, \strlen(self::PREFIX));
    }

    public function acquire(): bool
    {
        return $this->wait(0);
    }

    /**
     * Lets the API wait for the lock, instead of asking again and again.
     *
     * @param int $seconds
     * @param callable|null $callback
     *
     * @throws LockTimeoutException
     * @throws \SessionApi\Unavailable
     */
    public function block($seconds, $callback = null)
    {
        for ($left = $seconds; !$this->wait(min($left, Client::MAX_WAIT)); $left -= Client::MAX_WAIT) {
            if ($left <= Client::MAX_WAIT) {
                throw new LockTimeoutException();
            }
        }
        if ($callback === null) {
            return true;
        }
        try {
            return $callback();
        } finally {
            $this->release();
        }
    }

    private function wait(int $seconds): bool
    {
        try {
            $this->handler->lock($this->id, $seconds, $this->seconds);
        } catch (Locked) {
            return false;
        }

        return true;
    }

    public function release(): bool
    {
        $this->handler->release();

        return true;
    }

    public function forceRelease(): void
    {
        $this->release();
    }

    protected function getCurrentOwner(): string
    {
        return $this->owner;
    }
}
