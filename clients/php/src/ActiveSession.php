<?php

declare(strict_types=1);

namespace SessionApi;

/** The session of a page: what the store had when it was read, and how to write it. */
final class ActiveSession
{
    /** Number of other requests whose changes one write merges with its own. */
    private const MAX_MERGES = 10;

    /** The session as the store has it; null if it is not there. */
    private ?Session $stored = null;
    /** Data that the page has read. After a merge, the store has other data. */
    private string $base = '';
    /** Whether the session ended while the page ran. Then nothing is written. */
    private bool $hasEnded = false;

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
            $isEmpty = self::isEmpty($data) && ($user ?? '') === '';
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
        } elseif ($this->options->ttl - $this->stored->ttl >= $this->options->touchAfter) {
            $this->client->touch($this->stored->id);
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
        if (self::isEmpty($data)) {
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

    /** Forgets a session that has ended. Nothing is written any more. */
    public function end(): void
    {
        $this->begin();
        $this->hasEnded = true;
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
        for ($merges = 0; $merges < self::MAX_MERGES; ++$merges) {
            // Data that cannot be merged replaces that of other requests.
            $merged = $this->stored->data === $this->base
                ? $data
                : Merge::merge($this->base, $data, $this->stored->data) ?? $data;
            try {
                return $write($this->stored, $merged);
            } catch (Conflict $conflict) {
                $this->stored = $conflict->current;
            }
        }
        throw new Unavailable('Other requests kept changing the session');
    }

    /** Whether this is the data of an empty `$_SESSION`. */
    private static function isEmpty(string $data): bool
    {
        return $data === '' || $data === 'a:0:{}';
    }
}
