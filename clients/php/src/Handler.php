<?php

declare(strict_types=1);

namespace SessionApi;

/**
 * Session handler that keeps sessions in the session API.
 *
 * A page makes one call, or two if it changes its session. If a session can't be read, `session_start()` throws
 * {@see Unavailable}; an outage never looks like an empty session. A session that ended while the page ran isn't
 * written back.
 */
final class Handler implements
    \SessionHandlerInterface,
    \SessionIdInterface,
    \SessionUpdateTimestampHandlerInterface
{
    private readonly ActiveSession $session;
    /** Whether PHP is opening a session. Any other read is the app looking into another session. */
    private bool $isOpening = true;
    /** Id of the session that PHP has open. */
    private ?string $id = null;
    /** Id of the session that {@see validateId()} has loaded for {@see read()}. */
    private ?string $loadedId = null;
    /** Id that {@see validateId()} didn't find, or '' if the request had none. PHP then makes a new one. */
    private ?string $rejectedId = null;
    /** Id created here that no session uses yet. */
    private ?string $freshId = null;
    /** Whether the page has a new id, and stored nothing under it. */
    private bool $isUnused = false;
    /** See {@see isRefilled()}. */
    private bool $isRefilled = false;
    /** Why the session couldn't be loaded. */
    private ?Unavailable $failure = null;
    /** @var array{string, int}|null Data and grace of a pending move: PHP tells us the new id in a later call. */
    private ?array $move = null;
    /** Owner to set when the session is created or moved. */
    private ?string $nextUser = null;

    /** @param bool $throws whether a failed write throws {@see Unavailable}, for frameworks that write before they respond */
    public function __construct(
        private readonly Options $options,
        private readonly Client $client,
        private readonly bool $throws = false,
    ) {
        $this->session = new ActiveSession($client, $options);
    }

    /** PHP doesn't close a session whose values can't be serialized, so its lock is released here. */
    public function __destruct()
    {
        $this->session->abandon();
    }

    /**
     * Keeps PHP's sessions in the API. Call it before `session_start()`.
     *
     * @param array<string, mixed> $options see {@see Options}
     */
    public static function register(array $options = []): self
    {
        $options = new Options($options);
        $handler = new self($options, new Client($options));
        $handler->install();

        return $handler;
    }

    /** Makes PHP use this handler. */
    public function install(): void
    {
        self::prepare();
        session_set_save_handler($this, true);
        // Until the page ends, it may still store something under its id. PHP closes the session after all shutdown
        // functions that there are when it calls the first of them.
        register_shutdown_function(fn () => register_shutdown_function(function (): void {
            if ($this->isUnused && session_status() !== PHP_SESSION_ACTIVE) {
                self::withdrawCookie();
            }
        }));
        SessionApi::use($this);
    }

    /**
     * Applies the settings that make PHP's sessions safe in a shared store.
     *
     * @internal
     */
    public static function prepare(): void
    {
        if (session_status() === PHP_SESSION_ACTIVE) {
            throw new \LogicException('Register the session handler before the session starts');
        }
        if (headers_sent($file, $line)) {
            throw new \LogicException("Register the session handler before any output, which began in $file:$line");
        }
        // Without strict mode, an attacker can choose a visitor's id. Garbage collection is up to the table's TTL.
        foreach (['session.use_strict_mode' => '1', 'session.gc_probability' => '0'] as $name => $value) {
            if (\ini_get($name) !== $value && ini_set($name, $value) === false) {
                throw new \LogicException("$name must be $value, but the configuration doesn't allow setting it");
            }
        }
    }

    /**
     * Begins a session with data from another store. The first write creates it in the API.
     *
     * @internal
     */
    public function adopt(string $id, string $data): void
    {
        $this->isOpening = false;
        $this->id = $id;
        $this->session->begin($data);
    }

    /**
     * Ends the session with this id, whether or not it's the active one.
     *
     * @internal
     */
    public function end(string $id): bool
    {
        $this->session->begin();
        if (self::isId($id)) {
            $this->client->destroy($id);
        }

        return true;
    }

    /**
     * Whether the active session is about to get another id.
     *
     * @internal
     */
    public function isMoving(): bool
    {
        return $this->move !== null;
    }

    /**
     * Makes a user the owner of the active session with the next write. An empty name removes the owner.
     *
     * @internal
     */
    public function own(string $user): void
    {
        if ($user !== ($this->session->user() ?? '')) {
            $this->nextUser = $user;
        }
    }

    /**
     * Whether the session ended while the page ran, so its id is dead.
     *
     * @internal
     */
    public function hasEnded(): bool
    {
        return $this->session->hasEnded();
    }

    /**
     * Whether the page emptied its session, but other pages have added to it.
     *
     * @internal
     */
    public function isRefilled(): bool
    {
        return $this->isRefilled;
    }

    public function open(string $path, string $name): bool
    {
        $this->isOpening = true;
        $this->isUnused = false;
        // A decorator may lack create_sid(). Then PHP makes the id.
        $this->rejectedId = session_id() === '' ? '' : null;
        if ($this->move === null) {
            // It was meant for a session that PHP never wrote.
            $this->nextUser = null;
        }

        return true;
    }

    public function create_sid(): string
    {
        return $this->freshId = bin2hex(random_bytes(32));
    }

    public function validateId(string $id): bool
    {
        // session_regenerate_id() asks whether its new id is taken.
        if ($this->move !== null || !self::isId($id)) {
            return false;
        }
        if ($id === $this->freshId) {
            // A page may close its session while it is empty, and start it again.
            return $this->isOpening;
        }
        if (!$this->isOpening) {
            return $this->client->read($id) !== null;
        }
        try {
            $isStored = $this->session->load($id);
        } catch (Unavailable $failure) {
            // PHP would replace an exception thrown here with its own, so read() throws it.
            $this->failure = $failure;

            return true;
        }
        [$this->loadedId, $this->rejectedId] = $isStored ? [$id, null] : [null, $id];

        return $isStored;
    }

    public function read(string $id): string
    {
        [$failure, $this->failure] = [$this->failure, null];
        if ($failure !== null) {
            throw $failure;
        }
        if (!$this->isOpening && $this->move === null) {
            return self::isId($id) ? $this->client->read($id)->data ?? '' : '';
        }
        $this->isOpening = false;
        $this->id = $id;
        [$loadedId, $this->loadedId] = [$this->loadedId, null];
        [$rejectedId, $this->rejectedId] = [$this->rejectedId, null];
        $isMade = !\in_array($rejectedId, [null, $id], true) && $id === session_id();
        [$move, $this->move] = [$this->move, null];
        if ($move !== null) {
            [$data, $grace] = $move;
            if ($this->session->move($id, $data, $grace, $this->nextUser)) {
                $this->nextUser = null;
            }
        } elseif ($id === $this->freshId || !self::isId($id) || $isMade) {
            $this->session->begin();
        } elseif ($id !== $loadedId) {
            $this->session->load($id);
        }

        return $this->session->data();
    }

    public function write(string $id, string $data): bool
    {
        if ($id !== $this->id) {
            return $this->report('The session was not written', fn () => $this->client->put($id, $data));
        }
        if (self::isRegenerating()) {
            $this->move = [$data, $this->options->grace];

            return true;
        }
        [$user, $this->nextUser] = [$this->nextUser, null];
        $isWritten = false;
        try {
            $save = fn () => $this->session->save($id, $data, $user);
            $isWritten = $this->report('The session was not written', $save);
        } finally {
            if (!$isWritten) {
                // Don't bother releasing the lock: it expires by itself.
                $this->session->begin();
            }
        }
        if (!$isWritten) {
            return false;
        }
        if ($this->session->id() !== null) {
            $this->freshId = null;
        }
        $this->isUnused = $this->freshId === $id;
        $this->isRefilled = $this->session->isRefilled();
        if ($this->session->hasEnded()) {
            self::withdrawCookie();
        }

        $this->report("The user's oldest sessions were not ended", $this->session->limit(...));

        return true;
    }

    public function updateTimestamp(string $id, string $data): bool
    {
        return $this->write($id, $data);
    }

    public function destroy(string $id): bool
    {
        if ($id !== $this->id) {
            $this->client->destroy($id);
        } elseif (self::isRegenerating()) {
            $this->move = [(string) session_encode(), 0];
        } else {
            $this->session->destroy();
        }

        return true;
    }

    public function close(): bool
    {
        if ($this->move === null) {
            $this->id = null;
            $this->session->abandon();
        }

        return true;
    }

    public function gc(int $max_lifetime): int|false
    {
        return 0;
    }

    /** @see SessionApi::login() */
    public function login(string $user): void
    {
        self::requireSession();
        $this->nextUser = $user;
        try {
            $isMoved = session_regenerate_id();
        } catch (\Throwable $error) {
            $this->nextUser = null;
            throw $error;
        }
        if (!$isMoved) {
            $this->nextUser = null;
            throw new Unavailable('The session was not moved to a new id');
        }
    }

    /** @see SessionApi::logoutEverywhere() */
    public function logoutEverywhere(): int
    {
        $destroyed = $this->client->destroyAll($this->owner());
        $this->session->begin();
        $this->nextUser = null;
        $_SESSION = [];
        session_destroy();

        return $destroyed;
    }

    /** @see SessionApi::logoutOtherDevices() */
    public function logoutOtherDevices(): int
    {
        return $this->client->destroyAll($this->owner(), (string) session_id());
    }

    /** @see SessionApi::devices() */
    public function devices(): array
    {
        return $this->client->sessions($this->owner(), (string) session_id());
    }

    /** @see SessionApi::logoutDevice() */
    public function logoutDevice(string $handle): bool
    {
        return $this->client->destroyByHandle($this->owner(), $handle);
    }

    private function owner(): string
    {
        self::requireSession();

        return $this->nextUser ?? $this->session->user()
            ?? throw new \LogicException('The session has no owner: see SessionApi::login()');
    }

    private static function requireSession(): void
    {
        if (session_status() !== PHP_SESSION_ACTIVE) {
            throw new \LogicException('Start the session first');
        }
    }

    /** Makes a call at the end of the page. If it fails, that's a warning unless the handler throws. */
    private function report(string $failure, \Closure $call): bool
    {
        try {
            $call();
        } catch (Unavailable $error) {
            if ($this->throws) {
                throw $error;
            }
            trigger_error("$failure: {$error->getMessage()}", E_USER_WARNING);

            return false;
        }

        return true;
    }

    /** Withdraws the cookie of a new id that has no session. The browser may already have that of a newer session. */
    private static function withdrawCookie(): void
    {
        if (headers_sent()) {
            return;
        }
        $prefix = 'Set-Cookie: ' . session_name() . '=';
        $cookies = preg_grep('/^Set-Cookie:/i', headers_list());
        header_remove('Set-Cookie');
        foreach ($cookies as $cookie) {
            if (strncasecmp($cookie, $prefix, \strlen($prefix)) !== 0) {
                header($cookie, false);
            }
        }
    }

    /** Whether session_regenerate_id() is the caller. PHP doesn't tell handlers in any other way. */
    private static function isRegenerating(): bool
    {
        $frames = debug_backtrace(DEBUG_BACKTRACE_IGNORE_ARGS, 8);

        return \in_array('session_regenerate_id', array_column($frames, 'function'), true);
    }

    /** Whether the API accepts this id. Any other cookie counts as no session. */
    private static function isId(string $id): bool
    {
        return preg_match('/^[A-Za-z0-9_,-]{22,128}$/D', $id) === 1;
    }
}
