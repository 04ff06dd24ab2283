<?php

declare(strict_types=1);

namespace SessionApi\Laravel;

use Illuminate\Cache\NullStore;

/** Cache store with the locks of sessions, and nothing else. Laravel takes them for `->block()` of a route. */
final class LockStore extends NullStore
{
    /** @param \Closure(): Handler $handler returns the handler of the session */
    public function __construct(private readonly \Closure $handler)
    {
    }

    /**
     * @param string $name
     * @param int $seconds
     * @param string|null $owner
     */
    public function lock($name, $seconds = 0, $owner = null): SessionLock
    {
        return new SessionLock(($this->handler)(), $name, $seconds, $owner);
    }

    /**
     * @param string $name
     * @param string $owner
     */
    public function restoreLock($name, $owner): SessionLock
    {
        throw new \LogicException('The lock of a session belongs to the request that took it');
    }
}
