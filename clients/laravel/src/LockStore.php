<?php

declare(strict_types=1);

namespace SessionApi\Laravel;

use Illuminate\Cache\NullStore;

/** Cache store that only has session locks. Laravel uses them for a route's `->block()`. */
final class LockStore extends NullStore
{
    /** @param \Closure(): Handler $handler returns the session's handler */
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
        throw new \LogicException("A session's lock belongs to the request that took it");
    }
}
