<?php

declare(strict_types=1);

namespace SessionApi;

/** The session of one page: what the API had when it was read, and how to write it back. */
final class ActiveSession
{
    /** Seconds after which a write gives up merging with the changes of other requests. */
    private const MAX_MERGING = 10;
    /** An empty `$_SESSION` as encoded by the serialize handlers of PHP, igbinary and Laravel. */
    private const EMPTY = ['', 'a:0:{}', "\0\0\0\x02\x14\0", '[]'];
    /** Symfony's bags when it moves a session that it has emptied. At the end of the page, it stores no empty bags. */
    private const EMPTY_BAGS = '/^(?:\w+\|a:0:\{\})*_sf2_meta\|a:3:\{[^{}]*\}$/D';

    /** The session as the API has it; null if it doesn't have it. */
    private ?Session $stored = null;
    /** The data the page last read or wrote. After a merge, the API has more than that. */
    private string $base = '';
    /** Whether the session ended while the page ran. If so, nothing is written. */
    private bool $hasEnded = false;
    /** The owner when {@see limit()} last looked. */
    private ?string $owner = null;

    public function __construct(private readonly Client $client, private readonly Options $options)
    {
    }

    /**
     * Reads the session with this id, locking it if the options say so. Returns whether there is one.
     *
     * @throws Unavailable
     */
    public function load(string $id): bool
    {
        if ($this->stored?->lock !== null && $this->stored->id === $id) {
            // The page starts over. It still holds the lock, so nobody else has changed the session.
            $this->use($this->stored);

            return true;
        }
        $this->abandon();
        $this->begin();
        $wait = $this->options->lock;
        $this->use($wait === null ? $this->client->read($id) : $this->client->lock($id, $wait));

        return $this->stored !== null;
    }

    /** Starts from a session that was read, or from a new one. */
    public function use(?Session $stored): void
    {
        $this->stored = $stored;
        $this->base = $stored->data ?? '';
        $this->hasEnded = false;
        $this->owner = $stored?->user;
    }

    /** Begins a new session, which the first write creates in the API. Its data may come from another store. */
    public function begin(string $data = ''): void
    {
        $this->use(null);
        $this->base = $data;
    }

    /** Returns the data the page has read; an empty string for a new session. */
    public function data(): string
    {
        return $this->base;
    }

    /** Whether the session ended while the page ran, so its id is dead. */
    public function hasEnded(): bool
    {
        return $this->hasEnded;
    }

    /** Whether the page emptied the session, but other pages have added to it. */
    public function isRefilled(): bool
    {
        return \in_array($this->base, self::EMPTY, true)
            && !\in_array($this->stored->data ?? '', self::EMPTY, true);
    }

    /** Returns the session's id, or null if the API doesn't have it. */
    public function id(): ?string
    {
        return $this->stored?->id;
    }

    /** Returns the session's owner in the API, or null. */
    public function user(): ?string
    {
        return $this->stored?->user;
    }

    /**
     * Writes the data if it has changed, otherwise slides the expiry if it's time, and releases the lock.
     *
     * @param string|null $user new owner, or an empty string to remove the owner; null keeps it
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
            // Another page of the same visitor was faster.
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
            // Taking the lock has already slid the expiry.
            $this->client->release($this->stored);
            $this->stored = $this->stored->withLock(null);

            return;
        }
        // The API may have cut the lifetime when the expiry was last slid.
        $hash = hash('sha256', $this->stored->id);
        $used = min($this->options->ttl(), Memory::get("ttl.$hash") ?? PHP_INT_MAX) - $this->stored->ttl;
        $touchAfter = $this->options->touchAfter();
        // It's negative if the lifetime used to be longer than it is now.
        $isDue = $used >= $touchAfter || $used < 0;
        // One of several pages at the same time is enough. If its touch fails, a page after this time makes up for it.
        if ($isDue && Memory::claim("touch.$hash", max(1, intdiv(min(20, $touchAfter), 2)))) {
            $ttl = $this->client->touch($this->stored->id);
            $this->hasEnded = $ttl === null;
            if ($ttl !== null && $ttl < $this->options->ttl()) {
                Memory::set("ttl.$hash", $ttl, max(1, $ttl));
            }
        }
    }

    /**
     * Moves the session to another id, with new data.
     *
     * A session that has ended doesn't come back under another id. Only a login, which sets a new owner, begins a new
     * session then.
     *
     * @param string|null $user new owner, or an empty string to remove the owner; null keeps it
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
        if (\in_array($data, self::EMPTY, true) || preg_match(self::EMPTY_BAGS, $data) === 1) {
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
     * If a user has just become the owner, ends their oldest sessions above the limit `max_sessions`.
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

    /** Stops using the session without writing it. If the lock can't be released, it expires by itself. */
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
     * Writes data, merged with what other requests have written since the page read the session.
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
            // If it can't be merged, our data replaces theirs.
            $merged = $this->stored->data === $this->base
                ? $data
                : Merge::merge($this->base, $data, $this->stored->data) ?? $data;
            try {
                return $write($this->stored, $merged);
            } catch (Conflict $conflict) {
                $this->stored = $conflict->current;
            }
            // The conflict after a pause returns fresh data, so the next attempt goes out without a pause.
            if ($merges % 2 === 1) {
                usleep(random_int(500, 1000) * min(500, 25 * 2 ** min(9, intdiv($merges, 2))));
            }
        }
        throw new Unavailable('Other requests kept changing the session');
    }
}
