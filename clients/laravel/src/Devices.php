<?php

declare(strict_types=1);

namespace SessionApi\Laravel;

use SessionApi\Client;

/** Devices of the user who is logged in: the sessions that belong to them. */
final class Devices
{
    public function __construct(private readonly Handler $handler, private readonly Client $client)
    {
    }

    /**
     * Lists the sessions, newest first. Times are RFC 3339. `handle` is what {@see logoutDevice()} takes; it cannot be
     * used to read a session.
     *
     * @return list<array{
     *     handle: string, created: string, used: string, expires: string, label: string|null, current: bool
     * }>
     *
     * @throws \SessionApi\Unavailable
     */
    public function devices(): array
    {
        return $this->client->sessions($this->user(), $this->handler->id());
    }

    /**
     * Ends another session of the user. Returns whether there was one with this handle.
     *
     * @throws \SessionApi\Unavailable
     */
    public function logoutDevice(string $handle): bool
    {
        return $this->client->destroyByHandle($this->user(), $handle);
    }

    /**
     * Ends all sessions of the user except this one. Returns how many there were.
     *
     * @throws \SessionApi\Unavailable
     */
    public function logoutOtherDevices(): int
    {
        return $this->handler->destroyOthers($this->user());
    }

    /**
     * Ends all sessions of the user, this one too. Returns how many there were.
     *
     * @throws \SessionApi\Unavailable
     */
    public function logoutEverywhere(): int
    {
        $destroyed = $this->client->destroyAll($this->user());
        $this->handler->forget();

        return $destroyed;
    }

    private function user(): string
    {
        return $this->handler->user() ?? throw new \LogicException('The session has no owner: nobody is logged in');
    }
}
