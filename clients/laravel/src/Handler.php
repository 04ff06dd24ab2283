<?php

declare(strict_types=1);

namespace SessionApi\Laravel;

use Illuminate\Session\ExistenceAwareInterface;
use Illuminate\Session\Middleware\StartSession;
use SessionApi\ActiveSession;
use SessionApi\Client;
use SessionApi\Options;
use SessionApi\Session;

/**
 * Session handler of Laravel that keeps sessions in the session API.
 *
 * When a session gets another id, Laravel calls a handler several times: perhaps `destroy()` with the old id,
 * `setExists(false)`, and `write()` with the new one. This handler moves the session in the last of these calls, with
 * one call of the API.
 */
final class Handler implements \SessionHandlerInterface, ExistenceAwareInterface
{
    private readonly ActiveSession $session;
    /** Id that the session was read under. */
    private ?string $id = null;
    /** The session that the lock's owner has read with the lock. */
    private ?Session $locked = null;
    /** Whether the active session is to be destroyed: it is, unless a write moves it to another id. */
    private bool $isDestroyed = false;
    /** New owner: a name, or an empty string for none; null keeps the owner. */
    private ?string $nextUser = null;

    /** @param \Closure(): ?string $cookie returns the session cookie of the request */
    public function __construct(
        private readonly Options $options,
        private readonly Client $client,
        private readonly \Closure $cookie,
    ) {
        $this->session = new ActiveSession($client, $options);
    }

    public function open(string $path, string $name): bool
    {
        return true;
    }

    public function close(): bool
    {
        return true;
    }

    /** @throws \SessionApi\Unavailable */
    public function read(string $id): string
    {
        $this->id = $id;
        $this->isDestroyed = false;
        $this->nextUser = null;
        [$locked, $this->locked] = [$this->locked, null];
        if ($locked?->id === $id) {
            $this->session->use($locked);
        } elseif ($this->isNew($id)) {
            $this->session->begin();
        } else {
            $this->session->load($id);
        }

        return $this->session->data();
    }

    /** @throws \SessionApi\Unavailable */
    public function write(string $id, string $data): bool
    {
        [$isDestroyed, $this->isDestroyed] = [$this->isDestroyed, false];
        [$user, $this->nextUser] = [$this->nextUser, null];
        if ($isDestroyed && $id === $this->id) {
            // The app destroyed its own session by its id, and Laravel writes it back.
            $this->session->destroy();
        } elseif (
            $id === $this->id
            || !$this->session->move($id, $data, $isDestroyed ? 0 : $this->options->grace, $user)
        ) {
            $this->session->save($id, $data, $user);
        }
        $this->id = $id;

        return true;
    }

    /**
     * Begins a session with data from another store. The first write creates it.
     *
     * @internal
     */
    public function adopt(string $data): void
    {
        $this->session->begin($data);
    }

    /**
     * Ends the session with this id immediately.
     *
     * @internal
     *
     * @throws \SessionApi\Unavailable
     */
    public function end(string $id): void
    {
        $this->client->destroy($id);
    }

    /** @throws \SessionApi\Unavailable */
    public function destroy(string $id): bool
    {
        if ($id === $this->id) {
            $this->isDestroyed = true;
        } else {
            $this->client->destroy($id);
        }

        return true;
    }

    /** A session that is destroyed without another write ends with the request. */
    public function __destruct()
    {
        if ($this->isDestroyed) {
            $this->session->destroy();
        }
    }

    public function gc(int $lifetime): int
    {
        return 0;
    }

    /** @param bool $value */
    public function setExists($value): self
    {
        return $this;
    }

    /** Sets the owner of the session, or removes it with an empty name. The next write tells the API. */
    public function setUser(string $user): void
    {
        $this->nextUser = $user;
    }

    /** Returns the owner of the session, or null. */
    public function user(): ?string
    {
        $user = $this->nextUser ?? $this->session->user();

        return $user === '' ? null : $user;
    }

    /**
     * Ends all sessions of a user except the active one. Returns how many there were.
     *
     * @throws \SessionApi\Unavailable
     */
    public function destroyOthers(string $user): int
    {
        return $this->client->destroyAll($user, $this->session->id());
    }

    /** Forgets the session: all of the user's sessions were ended, and this one is not to come back. */
    public function forget(): void
    {
        $this->session->end();
    }

    /** Returns the id of the session in the API, or null if it is not there. */
    public function id(): ?string
    {
        return $this->session->id();
    }

    /**
     * Takes the lock of a session before it is read.
     *
     * @throws \SessionApi\Unavailable
     */
    public function lock(string $id, int $wait, int $lease): void
    {
        $this->locked = $this->isNew($id) ? null : $this->client->lock($id, $wait, $lease);
    }

    /**
     * Whether Laravel has just generated this id, so that no session has it. The middleware generates an id if it does
     * not use the one of the cookie. Code outside of the middleware may set an id from another source.
     */
    private function isNew(string $id): bool
    {
        $frames = debug_backtrace(DEBUG_BACKTRACE_PROVIDE_OBJECT | DEBUG_BACKTRACE_IGNORE_ARGS, 12);
        $callers = array_column($frames, 'object');
        $isMiddleware = fn (object $caller): bool => $caller::class === StartSession::class;

        return array_filter($callers, $isMiddleware) !== [] && ($this->cookie)() !== $id;
    }

    /** Releases the lock, unless a write has done so. */
    public function release(): void
    {
        $this->session->abandon();
        if ($this->locked !== null) {
            $this->client->release($this->locked);
            $this->locked = null;
        }
    }
}
