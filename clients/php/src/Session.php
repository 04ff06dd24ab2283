<?php

declare(strict_types=1);

namespace SessionApi;

/** A session as the API returned it. */
final class Session
{
    public function __construct(
        public readonly string $id,
        public readonly string $data,
        public readonly string $etag,
        /** Seconds until it expires. */
        public readonly int $ttl,
        /** Token of the lock, if the read took the lock. */
        public readonly ?string $lock = null,
        /** Owner. */
        public readonly ?string $user = null,
    ) {
    }

    /** @throws Unavailable if the response lacks what every representation of a session has */
    public static function fromResponse(string $id, Response $response): self
    {
        $etag = $response->header('etag');
        $ttl = $response->header('session-ttl');
        if ($etag === null || !ctype_digit($ttl ?? '')) {
            throw new Unavailable('The URL of the session API leads to another server: it sent no session');
        }

        $user = $response->header('session-user');

        return new self(
            $id,
            $response->body,
            $etag,
            (int) $ttl,
            $response->header('session-lock'),
            $user === null ? null : Response::decode($user),
        );
    }

    /** Returns this state of a session for the holder of its lock. */
    public function withLock(?string $lock): self
    {
        return new self($this->id, $this->data, $this->etag, $this->ttl, $lock, $this->user);
    }
}
