<?php

declare(strict_types=1);

namespace SessionApi;

/**
 * Moves live sessions from one store to another while the app runs, in either direction.
 *
 * A session that isn't in the primary store is read from the other one. The first write moves it to the primary store
 * under the same id. It's only ever in one store: a session that ended must not come back from the other one.
 */
final class MigratingHandler implements
    \SessionHandlerInterface,
    \SessionIdInterface,
    \SessionUpdateTimestampHandlerInterface
{
    /** Whether PHP is opening a session. Any other read is the app looking into another session. */
    private bool $isOpening = true;
    /** Data of a session from the other store, until it's written to the primary one. */
    private ?string $adopted = null;
    /** Why the other store couldn't be read. */
    private ?\Throwable $failure = null;
    /**
     * Ids to end in the other store with the next write. When a session gets another id, the API's handler doesn't
     * write it until the end of the page, and the page may die before that.
     *
     * @var list<string>
     */
    private array $ending = [];

    /**
     * @param \SessionHandlerInterface $primary where sessions should be: a {@see Handler}, or the old store in step 1
     *     and on the way back
     * @param \SessionHandlerInterface $other where sessions may still be
     * @param \DateTimeInterface $until when to stop looking in the other store
     */
    public function __construct(
        private readonly \SessionHandlerInterface $primary,
        private readonly \SessionHandlerInterface $other,
        private readonly \DateTimeInterface $until,
    ) {
    }

    /** Makes PHP use this handler. */
    public function install(): void
    {
        Handler::prepare();
        session_set_save_handler($this, true);
        if ($this->primary instanceof Handler) {
            SessionApi::use($this->primary);
        }
    }

    public function open(string $path, string $name): bool
    {
        $this->isOpening = true;

        return $this->primary->open($path, $name) && (!$this->isMigrating() || $this->other->open($path, $name));
    }

    public function create_sid(): string
    {
        return $this->primary instanceof Handler ? $this->primary->create_sid() : bin2hex(random_bytes(32));
    }

    public function validateId(string $id): bool
    {
        if (!$this->isOpening) {
            return $this->read($id) !== '';
        }
        $this->adopted = null;
        $isInPrimary = $this->isInPrimary($id);
        if ($isInPrimary || !$this->isMigrating()) {
            return $isInPrimary;
        }
        try {
            $this->adopted = self::find($this->other, $id);
        } catch (\Throwable $failure) {
            // PHP would replace an exception thrown here with its own, so read() throws it.
            $this->failure = $failure;

            return true;
        }

        // Another page may have moved the session in between.
        return $this->adopted !== null || $this->isInPrimary($id);
    }

    public function read(string $id): string|false
    {
        if (!$this->isOpening) {
            $data = (string) $this->primary->read($id);

            return $data === '' && $this->isMigrating() ? (string) $this->other->read($id) : $data;
        }
        $this->isOpening = false;
        [$failure, $this->failure] = [$this->failure, null];
        if ($failure !== null) {
            throw $failure;
        }
        if ($this->adopted !== null && $this->primary instanceof Handler) {
            $this->primary->adopt($id, $this->adopted);

            return $this->adopted;
        }
        $data = $this->primary->read($id);

        return $this->adopted ?? $data;
    }

    public function write(string $id, string $data): bool
    {
        if (!$this->primary->write($id, $data)) {
            return false;
        }
        if ($this->adopted !== null) {
            $this->adopted = null;
            $this->ending[] = $id;
        }

        return $this->endOthers();
    }

    public function updateTimestamp(string $id, string $data): bool
    {
        return $this->adopted === null && $this->primary instanceof \SessionUpdateTimestampHandlerInterface
            ? $this->primary->updateTimestamp($id, $data) && $this->endOthers()
            : $this->write($id, $data);
    }

    public function destroy(string $id): bool
    {
        $this->adopted = null;

        if (!$this->primary->destroy($id)) {
            return false;
        }
        if ($this->isMigrating()) {
            $this->ending[] = $id;
        }

        return $this->endOthers();
    }

    public function close(): bool
    {
        return $this->primary->close() && (!$this->isMigrating() || $this->other->close());
    }

    public function gc(int $max_lifetime): int|false
    {
        return $this->primary->gc($max_lifetime);
    }

    private function isMigrating(): bool
    {
        return $this->until->getTimestamp() > time();
    }

    private function isInPrimary(string $id): bool
    {
        return $this->primary instanceof \SessionUpdateTimestampHandlerInterface
            ? $this->primary->validateId($id)
            : self::find($this->primary, $id) !== null;
    }

    /** Returns the data that a store has under an id, or null. Some stores create a session by reading it. */
    private static function find(\SessionHandlerInterface $store, string $id): ?string
    {
        $data = (string) $store->read($id);
        if ($data !== '') {
            return $data;
        }
        if (!$store instanceof Handler) {
            $store->destroy($id);
        }

        return null;
    }

    /** Ends sessions in the other store that have ended, or are in the primary one now. */
    private function endOthers(): bool
    {
        if ($this->primary instanceof Handler && $this->primary->isMoving()) {
            return true;
        }
        [$ending, $this->ending] = [$this->ending, []];
        $areEnded = true;
        foreach ($ending as $id) {
            if ($this->other instanceof Handler) {
                $areEnded = $this->other->end($id) && $areEnded;
            } else {
                // PHP's own file handler only destroys a session that it has read.
                $this->other->read($id);
                $areEnded = $this->other->destroy($id) && $areEnded;
            }
        }

        return $areEnded;
    }
}
