<?php

declare(strict_types=1);

namespace SessionApi\Laravel;

use Illuminate\Session\ExistenceAwareInterface;

/**
 * Moves live sessions from one store to another while the app runs, in either direction.
 *
 * A session that isn't in the primary store is read from the other one. The first write moves it to the primary store.
 * It's only ever in one store: a session that ended must not come back from the other one.
 */
final class MigratingHandler implements \SessionHandlerInterface, ExistenceAwareInterface
{
    /** Id of the active session if it comes from the other store, until it's written to the primary one. */
    private ?string $adoptedId = null;

    /** @param \DateTimeInterface $until when to stop looking in the other store */
    public function __construct(
        private readonly \SessionHandlerInterface $primary,
        private readonly \SessionHandlerInterface $other,
        private readonly \DateTimeInterface $until,
    ) {
    }

    /** Returns the API's handler if that's the primary store, otherwise null. */
    public function primary(): ?Handler
    {
        return $this->primary instanceof Handler ? $this->primary : null;
    }

    public function open(string $path, string $name): bool
    {
        return true;
    }

    public function close(): bool
    {
        return true;
    }

    public function read(string $id): string
    {
        if (Handler::caller('readFromHandler') === null) {
            $data = (string) $this->primary->read($id);

            return $data === '' && $this->isMigrating() ? (string) $this->other->read($id) : $data;
        }
        $this->adoptedId = null;
        $data = (string) $this->primary->read($id);
        if ($data !== '' || !$this->isMigrating()) {
            return $data;
        }
        $data = (string) $this->other->read($id);
        if ($data === '') {
            // Another page may have moved the session in between.
            return (string) $this->primary->read($id);
        }
        $this->adoptedId = $id;
        if ($this->primary instanceof Handler) {
            $this->primary->adopt($data);
        }

        return $data;
    }

    public function write(string $id, string $data): bool
    {
        if (!$this->primary->write($id, $data)) {
            return false;
        }
        if (Handler::caller('save') === null) {
            if ($this->isMigrating()) {
                $this->end($id);
            }

            return true;
        }
        [$adoptedId, $this->adoptedId] = [$this->adoptedId, null];
        if ($adoptedId !== null) {
            $this->end($adoptedId);
        }

        return true;
    }

    public function destroy(string $id): bool
    {
        $this->primary->destroy($id);
        if ($this->isMigrating()) {
            $this->end($id);
        }

        return true;
    }

    public function gc(int $lifetime): int
    {
        return (int) $this->primary->gc($lifetime);
    }

    /** @param bool $value */
    public function setExists($value): self
    {
        if ($this->primary instanceof ExistenceAwareInterface) {
            $this->primary->setExists($value && $this->adoptedId === null);
        }

        return $this;
    }

    private function isMigrating(): bool
    {
        return $this->until->getTimestamp() > time();
    }

    /** Removes a session from the other store. */
    private function end(string $id): void
    {
        if ($this->other instanceof Handler) {
            $this->other->end($id);
        } else {
            $this->other->destroy($id);
        }
    }
}
