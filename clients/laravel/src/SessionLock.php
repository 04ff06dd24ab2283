<?php

declare(strict_types=1);

namespace SessionApi\Laravel;

use Illuminate\Cache\Lock;
use Illuminate\Contracts\Cache\LockTimeoutException;
use SessionApi\Client;
use SessionApi\Locked;

/** The API's own lock of a session. It comes with the session's data, which are not read again. */
final class SessionLock extends Lock
{
    /** What Laravel puts before the id of a session in the name of its lock. */
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
            throw new \LogicException('The cache store "session-api" has the locks of sessions only');
        }
        if ($seconds < 1 || $seconds > Client::MAX_LEASE) {
            throw new \InvalidArgumentException(
                'The lock of a session lasts 1 to ' . Client::MAX_LEASE . " s, and ->block() asks for $seconds s",
            );
        }
        $this->id = substr($name, \strlen(self::PREFIX));
    }

    public function acquire(): bool
    {
        return $this->wait(0);
    }

    /**
     * Waits for the lock in the API, instead of asking again and again.
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
