<?php

declare(strict_types=1);

namespace SessionApi\Laravel;

use Illuminate\Session\ExistenceAwareInterface;
use Illuminate\Session\Middleware\StartSession;
use Illuminate\Session\Store;
use SessionApi\ActiveSession;
use SessionApi\Client;
use SessionApi\Merge;
use SessionApi\Options;
use SessionApi\Session;

/**
 * Laravel session handler that keeps sessions in the session API.
 *
 * When a session gets another id, Laravel calls the handler several times: perhaps `destroy()` with the old id, then
 * `setExists(false)`, and `write()` with the new one. The last of these moves the session, with a single API call.
 *
 * The active session is the one that a {@see Store} reads and writes. Any other caller is the app, looking into other
 * sessions.
 *
 * A session belongs to the logged-in user: if that changes, the next write tells the API.
 */
final class Handler implements \SessionHandlerInterface, ExistenceAwareInterface
{
    private readonly ActiveSession $session;
    /** The store that reads and writes the active session. */
    private ?Store $store = null;
    /** Id under which the active session was read or last written. */
    private ?string $id = null;
    /** The session that came with the lock. */
    private ?Session $locked = null;
    /** Whether the app has destroyed the active session. It ends unless a write moves it to another id. */
    private bool $isDestroyed = false;

    /**
     * @param \Closure(): ?string $cookie returns the session cookie of the request
     * @param string $guard the guard whose users are named by their identifiers alone
     * @param bool $storesUrls whether the URL of the last page is worth a write
     */
    public function __construct(
        private readonly Options $options,
        private readonly Client $client,
        private readonly \Closure $cookie,
        private readonly string $guard = 'web',
        private readonly bool $storesUrls = true,
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
        $store = self::caller('readFromHandler');
        if ($store === null) {
            return $this->client->read($id)->data ?? '';
        }
        $this->finish();
        $this->store = $store;
        $this->id = $id;
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
        $store = self::caller('save');
        if ($store === null) {
            $this->client->put($id, $data);

            return true;
        }
        $this->store = $store;
        [$isDestroyed, $this->isDestroyed] = [$this->isDestroyed, false];
        if ($isDestroyed && $id === $this->id) {
            // The app destroyed its own session by its id, and now Laravel writes it back.
            $this->session->destroy();

            return true;
        }
        if (!$this->storesUrls && $id === $this->id && !Merge::differ($this->session->data(), $data, '_previous')) {
            $data = $this->session->data();
        }
        $user = $this->user() ?? '';
        $newUser = $user === ($this->session->user() ?? '') ? null : $user;
        if (
            $id === $this->id
            || !$this->session->move($id, $data, $isDestroyed ? 0 : $this->options->grace, $newUser)
        ) {
            $this->session->save($id, $data, $newUser);
        }
        $this->id = $id;
        $this->session->limit();

        return true;
    }

    /**
     * Begins a session with data from another store. The first write creates it in the API.
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

    public function __destruct()
    {
        $this->finish();
    }

    /** Ends a session that was destroyed and not written since. */
    private function finish(): void
    {
        [$isDestroyed, $this->isDestroyed] = [$this->isDestroyed, false];
        if ($isDestroyed) {
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

    /**
     * Returns the guard and the identifier of the logged-in user, or null. With several guards, that's the user who
     * logged in last.
     *
     * @return array{string, mixed}|null
     */
    public function login(): ?array
    {
        foreach (array_reverse($this->store?->all() ?? []) as $key => $identifier) {
            if (preg_match('/^login_(.+)_[0-9a-f]{40}$/D', (string) $key, $match) === 1) {
                return [$match[1], $identifier];
            }
        }

        return null;
    }

    /** Returns the logged-in user's name in the API, or null. */
    public function user(): ?string
    {
        $login = $this->login();

        return $login === null ? null : $this->name(...$login);
    }

    /**
     * Returns a user's name in the API: the identifier, preceded by the guard unless that's the app's default. A route
     * that uses another guard doesn't change the name. Returns null if the identifier is empty.
     */
    public function name(string $guard, mixed $identifier): ?string
    {
        $identifier = \is_scalar($identifier) || $identifier instanceof \Stringable ? (string) $identifier : '';

        return $identifier === '' ? null : ($guard === $this->guard ? $identifier : "$guard:$identifier");
    }

    /**
     * Ends all of a user's sessions except the active one. Returns how many it ended.
     *
     * @throws \SessionApi\Unavailable
     */
    public function destroyOthers(string $user): int
    {
        return $this->client->destroyAll($user, $this->session->id());
    }

    /** Forgets a session that has ended, and begins an empty one. */
    public function forget(): void
    {
        $this->session->begin();
        $this->store?->invalidate();
        $this->store?->regenerateToken();
    }

    /** Returns the session's id, or null if the API doesn't have it. */
    public function id(): ?string
    {
        return $this->session->id();
    }

    /** Whether the session ended while the request ran. */
    public function hasEnded(): bool
    {
        return $this->session->hasEnded();
    }

    /**
     * Locks a session before the store reads it.
     *
     * @throws \SessionApi\Unavailable
     */
    public function lock(string $id, int $wait, int $lease): void
    {
        $this->locked = $this->isNew($id) ? null : $this->client->lock($id, $wait, $lease);
    }

    /** Releases the lock unless a write already has. */
    public function release(): void
    {
        $this->session->abandon();
        if ($this->locked !== null) {
            $this->client->release($this->locked);
            $this->locked = null;
        }
    }

    /**
     * Whether Laravel has just generated this id, so no session can have it. Laravel's own middleware generates any id
     * that isn't in the cookie. Other code, and subclasses of the middleware, may have an id from somewhere else.
     */
    private function isNew(string $id): bool
    {
        $own = [self::class, MigratingHandler::class, SessionLock::class];
        foreach (debug_backtrace(DEBUG_BACKTRACE_PROVIDE_OBJECT | DEBUG_BACKTRACE_IGNORE_ARGS, 12) as $frame) {
            $caller = $frame['object'] ?? null;
            if ($caller !== null && !$caller instanceof Store && !\in_array($caller::class, $own, true)) {
                return $caller::class === StartSession::class && ($this->cookie)() !== $id;
            }
        }

        return false;
    }

    /**
     * Returns the store that called the handler from this method, or null if something else did.
     *
     * @internal
     */
    public static function caller(string $method): ?Store
    {
        foreach (debug_backtrace(DEBUG_BACKTRACE_PROVIDE_OBJECT | DEBUG_BACKTRACE_IGNORE_ARGS, 6) as $frame) {
            if (($frame['object'] ?? null) instanceof Store && $frame['function'] === $method) {
                return $frame['object'];
            }
        }

        return null;
    }
}
