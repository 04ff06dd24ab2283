<?php

declare(strict_types=1);

namespace SessionApi\Tests;

/** Wraps a handler, as frameworks do, and has no `create_sid()`, so PHP makes the ids. */
final class Decorator implements \SessionHandlerInterface, \SessionUpdateTimestampHandlerInterface
{
    public function __construct(
        private readonly \SessionHandlerInterface&\SessionUpdateTimestampHandlerInterface $handler,
    ) {
    }

    public function open(string $path, string $name): bool
    {
        return $this->handler->open($path, $name);
    }

    public function close(): bool
    {
        return $this->handler->close();
    }

    public function read(string $id): string|false
    {
        return $this->handler->read($id);
    }

    public function write(string $id, string $data): bool
    {
        return $this->handler->write($id, $data);
    }

    public function destroy(string $id): bool
    {
        return $this->handler->destroy($id);
    }

    public function gc(int $max_lifetime): int|false
    {
        return $this->handler->gc($max_lifetime);
    }

    public function validateId(string $id): bool
    {
        return $this->handler->validateId($id);
    }

    public function updateTimestamp(string $id, string $data): bool
    {
        return $this->handler->updateTimestamp($id, $data);
    }
}
