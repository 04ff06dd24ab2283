<?php

declare(strict_types=1);

namespace SessionApi;

/** The session of a page: what the store had when it was read, and how to write it. */
final class ActiveSession
{
    /** Seconds for which a write merges its changes with those of other requests. */
    private const MAX_MERGING = 10;
    /** Data of an empty `$_SESSION`, as the serialize handlers of PHP, igbinary and Laravel encode it. */
    private const EMPTY = ['', 'a:0:{}', "\0\0\0\x02\x14\0", '[]'];

    /** The session as the store has it; null if it is not there. */
    private ?Session $stored = null;
    /** Data that the page has read. After a merge, the store has other data. */
    private string $base = '';
    /** Whether the session ended while the page ran. Then nothing is written. */
    private bool $hasEnded = false;
    /** Owner that {@see limit()} knows. */
    private ?string $owner = null;

    public function __construct(private readonly Client $client, private readonly Options $options)
    {
    }

    /**
     * Reads the session with this id, and takes its lock if the options say so. Returns whether there is one.
     *
     * @throws Unavailable
     */
    public function load(string $id): bool
    {
        if ($this->stored?->lock !== null && $this->stored->id === $id) {
            // The page starts over. It has the lock, so nobody else has changed the session.
            $this->use($this->stored);

            return true;
        }
        $this->abandon();
        $this->begin();
        $wait = $this->options->lock;
        $this->use($wait === null ? $this->client->read($id) : $this->client->lock($id, $wait));

        return $this->stored !== null;
    }

    /** Begins with a session that was read, or a new one. */
    public function use(?Session $stored): void
    {
        $this->stored = $stored;
        $this->base = $stored->data ?? '';
        $this->hasEnded = false;
        $this->owner = $stored?->user;
    }

    /** Begins a new session, which the store gets with the first write. Its data may come from another store. */
    public function begin(string $data = ''): void
    {
        $this->use(null);
        $this->base = $data;
    }

    /** Returns the data that was read; an empty string for a new session. */
    public function data(): string
    {
        return $this->base;
    }

    /** Whether the session ended while the page ran, so that its id is none any more. */
    public function hasEnded(): bool
    {
        return $this->hasEnded;
    }

    /** Returns the id of the session in the store, or null if it is not there. */
    public function id(): ?string
    {
        return $this->stored?->id;
    }

    /** Returns the owner of the session in the store, or null. */
    public function user(): ?string
    {
        return $this->stored?->user;
    }

    /**
     * Writes data if it has changed, slides the expiry if it is time, and releases the lock.
     *
     * @param string|null $user new owner, or an empty string for none; null keeps the owner
     *
     * @throws Unavailable
     */
    public function save(string $id, string $data, ?string $user = null): void
    {
        if ($this->stored === null) {
            $isEmpty = \in_array($data, self::EMPTY, true) && ($user ?? '') === '';
            if ($this->hasEnded || $isEmpty) {
                return;
            }
            $this->stored = $this->client->create($id, $data, $user);
            if ($this->stored !== null) {
                $this->base = $data;

                return;
            }
            // Another page of this visitor was faster.
            $this->stored = $this->client->read($id);
        } elseif ($data === $this->base && $user === null) {
            $this->keepAlive();

            return;
        }
        if ($this->stored !== null) {
            $this->stored = $this->merge($data, fn (Session $stored, string $merged)
                => $this->client->replace($stored, $merged, $user));
        }
        $this->base = $data;
        $this->hasEnded = $this->stored === null;
    }

    /** Slides the expiry if enough time has passed, and releases the lock. */
    private function keepAlive(): void
    {
        if ($this->stored->lock !== null) {
            // To take the lock has slid the expiry.
            $this->client->release($this->stored);
            $this->stored = $this->stored->withLock(null);

            return;
        }
        // The API may have limited the lifetime when it was last slid.
        $key = 'ttl.' . hash('sha256', $this->stored->id);
        $used = min($this->options->ttl(), Memory::get($key) ?? PHP_INT_MAX) - $this->stored->ttl;
        // A negative time is one of a longer lifetime than that of today.
        if ($used >= $this->options->touchAfter() || $used < 0) {
            $ttl = $this->client->touch($this->stored->id);
            $this->hasEnded = $ttl === null;
            if ($ttl !== null && $ttl < $this->options->ttl()) {
                Memory::set($key, $ttl, max(1, $ttl));
            }
        }
    }

    /**
     * Moves the session with its new data to another id.
     *
     * A session that has ended does not come back under another id, unless it has a new owner: a login begins a new
     * session.
     *
     * @param string|null $user new owner, or an empty string for none; null keeps the owner
     *
     * @return bool whether it was moved; false if there was nothing to move
     *
     * @throws Unavailable
     */
    public function move(string $newId, string $data, int $grace, ?string $user = null): bool
    {
        if ($this->stored === null) {
            return false;
        }
        if (\in_array($data, self::EMPTY, true)) {
            $this->destroy();

            return false;
        }
        $this->stored = $this->merge($data, fn (Session $stored, string $merged)
            => $this->client->rotate($stored, $newId, $merged, $grace, $user));
        $this->hasEnded = $this->stored === null && ($user ?? '') === '';
        $this->base = $this->stored === null ? '' : $data;

        return $this->stored !== null;
    }

    /**
     * Ends the session.
     *
     * @throws Unavailable
     */
    public function destroy(): void
    {
        $id = $this->id();
        $this->begin();
        if ($id !== null) {
            $this->client->destroy($id);
        }
    }

    /**
     * Ends the oldest sessions of a user who has just become the owner, above the number of the option `max_sessions`.
     *
     * @throws Unavailable
     */
    public function limit(): void
    {
        [$before, $this->owner] = [$this->owner, $this->user()];
        if ($this->options->maxSessions !== null && $this->owner !== null && $this->owner !== $before) {
            $this->client->limit($this->owner, $this->options->maxSessions);
        }
    }

    /** Ends the use of the session without a write. The lease ends the lock if it cannot be released. */
    public function abandon(): void
    {
        [$stored, $this->stored] = [$this->stored, null];
        if ($stored?->lock !== null) {
            try {
                $this->client->release($stored);
            } catch (Unavailable) {
            }
        }
    }

    /**
     * Writes data, merged with what other requests wrote since the page read it.
     *
     * @param \Closure(Session, string): ?Session $write
     *
     * @return Session|null the session after the write; null if it has ended
     *
     * @throws Unavailable
     */
    private function merge(string $data, \Closure $write): ?Session
    {
        $deadline = microtime(true) + self::MAX_MERGING;
        for ($merges = 0; microtime(true) < $deadline; ++$merges) {
            // Data that cannot be merged replaces that of other requests.
            $merged = $this->stored->data === $this->base
                ? $data
                : Merge::merge($this->base, $data, $this->stored->data) ?? $data;
            try {
                return $write($this->stored, $merged);
            } catch (Conflict $conflict) {
                $this->stored = $conflict->current;
            }
            // After a pause, the write gets data that are fresh enough for one without a pause.
            if ($merges % 2 === 1) {
                usleep(random_int(500, 1000) * min(500, 25 * 2 ** min(9, intdiv($merges, 2))));
            }
        }
        throw new Unavailable('Other requests kept changing the session');
    }
}
