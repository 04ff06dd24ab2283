<?php

declare(strict_types=1);

namespace SessionApi;

/** A session as the API has it. */
final class Session
{
    public function __construct(
        public readonly string $id,
        public readonly string $data,
        public readonly string $etag,
        /** Seconds until it expires. */
        public readonly int $ttl,
        /** Token of its lock, if this client holds it. */
        public readonly ?string $lock = null,
        public readonly ?string $user = null,
    ) {
    }

    /** @throws Unavailable if the response isn't a session */
    public static function fromResponse(string $id, Response $response): self
    {
        $etag = $response->header('etag');
        $ttl = $response->header('session-ttl');
        if ($etag === null || !ctype_digit($ttl ?? '')) {
            throw new Unavailable("The response has no session, so it isn't from the session API. Check the URL.");
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

    /** Returns this session with another lock token, or without one. */
    public function withLock(?string $lock): self
    {
        return new self($this->id, $this->data, $this->etag, $this->ttl, $lock, $this->user);
    }
}
