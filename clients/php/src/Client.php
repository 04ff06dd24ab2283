<?php

declare(strict_types=1);

namespace SessionApi;

/**
 * Calls the session API: signs requests and retries them.
 *
 * A retry never takes effect twice: it carries the same `Idempotency-Key`, or the call is idempotent by nature.
 */
final class Client
{
    private const RETRIED = [429, 500, 502, 503, 504];
    /** Statuses whose responses say when to try again. */
    private const THROTTLED = [429, 503];
    /** Longest lease of a lock, in seconds. */
    public const MAX_LEASE = 60;
    /** Removes an owner or a label. Not just an empty header, because gateways may drop those. */
    private const NONE = '""';
    /** Longest label, percent-encoded. */
    private const MAX_LABEL = 256;
    /** Longest time that the API waits for a lock, in seconds. */
    public const MAX_WAIT = 10;

    private readonly Transport $transport;
    /** @var \Closure(): ?Credentials */
    private readonly \Closure $credentials;
    /** The last credentials found. They're reused only if they have an expiration. */
    private ?Credentials $found = null;

    /** @var \Closure(int): mixed Sleeps for this many microseconds. */
    private readonly \Closure $sleep;

    public function __construct(
        private readonly Options $options,
        ?Transport $transport = null,
        ?\Closure $sleep = null,
    ) {
        $this->sleep = $sleep ?? usleep(...);
        $this->credentials = $options->credentials ?? (new DefaultCredentials())(...);
        $this->transport = $transport ?? new CurlTransport();
    }

    /** Returns a fresh key for a request and its retries. */
    public static function key(): string
    {
        return bin2hex(random_bytes(16));
    }

    /**
     * Reads a session.
     *
     * @return Session|null null if there is none
     *
     * @throws Unavailable
     */
    public function read(string $id): ?Session
    {
        $response = $this->call('GET', '/session', ['session-id' => $id], accept: [200, 'session-not-found']);

        return $response->status === 200 ? Session::fromResponse($id, $response) : null;
    }

    /**
     * Locks a session and reads it. This also slides its expiry.
     *
     * @param int $wait seconds to wait for the lock, 0 to 10
     * @param int|null $lease seconds until the lock of a page that died expires, 1 to 60; default: the option `lease`
     *
     * @return Session|null null if there is none
     *
     * @throws Locked if another request held the lock the whole time
     * @throws Unavailable
     */
    public function lock(string $id, int $wait, ?int $lease = null): ?Session
    {
        $response = $this->call('POST', '/session/lock', [
            'session-id' => $id,
            'session-lease' => (string) ($lease ?? $this->options->lease),
            'session-wait' => (string) $wait,
            'session-ttl' => (string) $this->options->ttl(),
            'idempotency-key' => self::key(),
        ], accept: [200, 'session-not-found', 'session-locked'], wait: $wait);
        if ($response->problem() === 'session-locked') {
            throw new Locked("Another request held the session's lock for $wait s");
        }

        $session = $response->status === 200 ? Session::fromResponse($id, $response) : null;
        if ($session !== null && $session->lock === null) {
            throw new Unavailable("The response has no lock, so it isn't from the session API. Check the URL.");
        }

        return $session;
    }

    /**
     * Creates a session with this id.
     *
     * @return Session|null null if the id is taken
     *
     * @throws Unavailable
     */
    public function create(string $id, string $data, ?string $user = null): ?Session
    {
        $user ??= $this->options->user;
        $response = $this->call('PUT', '/session', [
            'session-id' => $id,
            'if-none-match' => '*',
            'idempotency-key' => self::key(),
        ] + $this->attributes($user), $data, accept: [201, 'session-exists']);

        return $response->status === 201 ? $this->written($id, $data, $response, null, $user) : null;
    }

    /**
     * Replaces the data of a session that was read, and releases its lock if this client holds it.
     *
     * @param string|null $user new owner, or an empty string to remove the owner; null keeps it
     *
     * @return Session|null the session with its new data; null if it has ended
     *
     * @throws Conflict if another request has changed the session since it was read
     * @throws Unavailable
     */
    public function replace(Session $read, string $data, ?string $user = null): ?Session
    {
        $response = $this->call('PUT', '/session', [
            'session-id' => $read->id,
            'if-match' => $read->etag,
            'session-ttl' => (string) $this->options->ttl(),
            'idempotency-key' => self::key(),
            'prefer' => 'return=representation',
        ] + self::unlock($read) + self::owner($user), $data, accept: [204, 'session-not-found', 'session-locked', 412]);
        $this->refuseConflict($read, $response);

        return $response->status === 204
            ? $this->written($read->id, $data, $response, null, $user ?? $read->user)
            : null;
    }

    /**
     * Writes data to a session that wasn't read, or creates it.
     *
     * @throws Unavailable
     */
    public function put(string $id, string $data): void
    {
        $response = $this->call('PUT', '/session', [
            'session-id' => $id,
            'session-ttl' => (string) $this->options->ttl(),
            'idempotency-key' => self::key(),
        ], $data, accept: [204, 'session-not-found']);
        if ($response->status !== 204) {
            $this->create($id, $data);
        }
    }

    /** Returns the session as a write left it. */
    private function written(string $id, string $data, Response $response, ?string $lock, ?string $user): Session
    {
        $etag = $response->header('etag') ?? throw new Unavailable(
            "The response has no ETag, so it isn't from the session API. Check the URL.",
        );
        $ttl = (int) ($response->header('session-ttl') ?? $this->options->ttl());

        return new Session($id, $data, $etag, $ttl, $lock, $user === '' ? null : $user);
    }

    /**
     * Slides a session's expiry.
     *
     * @return int|null seconds until it expires, perhaps fewer than asked for; null if the session doesn't exist
     *
     * @throws Unavailable
     */
    public function touch(string $id): ?int
    {
        $response = $this->call('POST', '/session/touch', [
            'session-id' => $id,
            'session-ttl' => (string) $this->options->ttl(),
            'idempotency-key' => self::key(),
        ], accept: [204, 'session-not-found']);

        return $response->status === 204 ? (int) ($response->header('session-ttl') ?? $this->options->ttl()) : null;
    }

    /**
     * Moves a session that was read to a new id, with new data, and keeps its lock.
     *
     * @param string $data not empty
     * @param string|null $user new owner, or an empty string to remove the owner; null keeps it
     *
     * @return Session|null the session under the new id; null if it has ended
     *
     * @throws Conflict if another request has changed the session since it was read
     * @throws Unavailable
     */
    public function rotate(Session $read, string $newId, string $data, int $grace, ?string $user): ?Session
    {
        $lock = $read->lock === null ? [] : ['session-lock' => $read->lock];
        $response = $this->call('POST', '/session/rotate', [
            'session-id' => $read->id,
            'session-new-id' => $newId,
            'session-grace' => (string) $grace,
            'if-match' => $read->etag,
            'prefer' => 'return=representation',
        ] + $lock + $this->attributes($user), $data, accept: [200, 'session-not-found', 'session-locked', 412]);
        $this->refuseConflict($read, $response);

        return $response->status === 200
            ? $this->written($newId, $data, $response, $read->lock, $user ?? $read->user)
            : null;
    }

    /**
     * Ends a session.
     *
     * @throws Unavailable
     */
    public function destroy(string $id): void
    {
        // The old id of a rotation isn't found, even while it's readable: the session has moved.
        $this->call('DELETE', '/session', ['session-id' => $id], accept: [204, 'session-not-found']);
    }

    /**
     * Releases a session's lock.
     *
     * @throws Unavailable
     */
    public function release(Session $read): void
    {
        $headers = ['session-id' => $read->id] + self::unlock($read);
        $this->call('DELETE', '/session/lock', $headers, accept: [204, 'session-not-found', 'not-lock-holder']);
    }

    /**
     * Lists a user's sessions, newest first.
     *
     * @param string|null $id the current session, which the list marks
     *
     * @return list<array{
     *     handle: string, created: string, used: string, expires: string, label: string|null, current: bool
     * }>
     *
     * @throws Unavailable
     */
    public function sessions(string $user, ?string $id = null): array
    {
        $response = $this->call('GET', '/sessions', self::userHeaders($user, $id), accept: [200]);
        $sessions = self::json($response);
        foreach ($sessions as &$session) {
            $session['label'] = isset($session['label']) ? Response::decode($session['label']) : null;
        }

        return $sessions;
    }

    /**
     * Ends all of a user's sessions except the one with this id. Returns how many it ended.
     *
     * @throws Unavailable
     */
    public function destroyAll(string $user, ?string $except = null): int
    {
        $response = $this->call('DELETE', '/sessions', self::userHeaders($user, $except), accept: [200]);

        return self::json($response)['destroyed'];
    }

    /**
     * Ends a user's oldest sessions if they have more than this many.
     *
     * @throws Unavailable
     */
    public function limit(string $user, int $sessions): void
    {
        $headers = self::userHeaders($user) + ['session-limit' => (string) $sessions];
        $this->call('DELETE', '/sessions', $headers, accept: [200]);
    }

    /**
     * Ends one of a user's sessions by its handle. Returns whether there was one. If a retry doesn't find it, an
     * earlier attempt whose response was lost has ended it.
     *
     * @throws Unavailable
     */
    public function destroyByHandle(string $user, string $handle): bool
    {
        $path = '/sessions/' . rawurlencode($handle);
        $accept = [204, 'session-not-found'];

        $response = $this->call('DELETE', $path, self::userHeaders($user), accept: $accept);

        return $response->status === 204 || $response->isToRetry;
    }

    /** Throws if a write was refused because another request got in the way. */
    private function refuseConflict(Session $read, Response $response): void
    {
        match ($response->problem()) {
            'session-locked' => throw new Locked('Another request holds the lock, so the session was not written'),
            'not-lock-holder' => throw new Locked('The lock has expired, so the session was not written'),
            'session-exists' => throw new Unavailable("The session's new id is taken"),
            default => null,
        };
        if ($response->status === 412) {
            throw $response->header('etag') === null
                ? $this->unexpected('a write', $response)
                : new Conflict(Session::fromResponse($read->id, $response)->withLock($read->lock));
        }
    }

    /** @return array<string, string> */
    private static function unlock(Session $read): array
    {
        return $read->lock === null ? [] : ['session-unlock' => $read->lock];
    }

    /** @return array<string, string> */
    private static function userHeaders(string $user, ?string $id = null): array
    {
        return ['session-user' => self::encode($user)] + ($id === null ? [] : ['session-id' => $id]);
    }

    /** @return array<string, string> */
    private function attributes(?string $user): array
    {
        $label = $this->options->label();

        return ['session-ttl' => (string) $this->options->ttl()]
            + ($label === null ? [] : ['session-label' => $label === '' ? self::NONE : self::shorten($label)])
            + self::owner($user);
    }

    /** @return array<string, string> */
    private static function owner(?string $user): array
    {
        return $user === null ? [] : ['session-user' => $user === '' ? self::NONE : self::encode($user)];
    }

    /** Percent-encodes as much of a label as fits. */
    private static function shorten(string $label): string
    {
        // Anything that isn't UTF-8 couldn't be listed as JSON.
        $label = json_decode(json_encode(substr($label, 0, self::MAX_LABEL), JSON_INVALID_UTF8_IGNORE));
        while (\strlen($encoded = self::encode($label)) > self::MAX_LABEL) {
            $label = preg_replace('/.$/Dsu', '', $label);
        }

        return $encoded;
    }

    /** @return array<mixed> */
    private static function json(Response $response): array
    {
        $document = json_decode($response->body, true);

        return \is_array($document) ? $document : throw new Unavailable(
            "The response isn't JSON, so it isn't from the session API. Check the URL.",
        );
    }

    /** Percent-encodes a name the way all clients do (RFC 3986). */
    private static function encode(string $text): string
    {
        return rawurlencode($text);
    }

    /**
     * Calls the API, with retries, and returns the first response that is accepted.
     *
     * @param array<string, string> $headers
     * @param list<int|string> $accept statuses and problem codes
     *
     * @throws Unavailable
     */
    private function call(
        string $method,
        string $path,
        array $headers,
        string $body = '',
        array $accept = [],
        int $wait = 0,
    ): Response {
        if ($body !== '') {
            $headers['content-type'] = 'application/octet-stream';
        }
        $functionUrl = $this->functionUrl($method, $path);
        $url = ($functionUrl ?? $this->options->url) . $path;
        $signer = new Signer($functionUrl === null ? 'execute-api' : 'lambda', $this->options->region);
        for ($attempt = 0; true; ++$attempt) {
            $isLast = $attempt >= $this->options->retries;
            try {
                $signed = $this->sign($signer, $method, $url, $headers, $body);
                $response = $this->transport->send($method, $url, $signed, $body, $this->options->timeout + $wait);
            } catch (Unavailable $error) {
                if ($isLast) {
                    throw $error;
                }
                $this->pause($attempt);
                continue;
            }
            $problem = $response->problem();
            if (\in_array($response->status, $accept, true) || \in_array($problem, $accept, true)) {
                return $attempt === 0 ? $response : $response->toRetry();
            }
            if ($isLast || !\in_array($response->status, self::RETRIED, true)) {
                throw $this->unexpected("$method $path", $response);
            }
            $seconds = \in_array($response->status, self::THROTTLED, true) ? $response->header('retry-after') : null;
            ctype_digit($seconds ?? '')
                ? ($this->sleep)((int) (min((float) $seconds, $this->options->timeout) * 1e6))
                : $this->pause($attempt);
        }
    }

    /** Returns the URL of the function that serves a call, or null if the call goes to the API's URL. */
    private function functionUrl(string $method, string $path): ?string
    {
        $urls = $this->options->functionUrls;

        return match (true) {
            // Functions refuse these: IAM can't tell the routes of a URL apart.
            $urls === [] || str_starts_with($path, '/sessions') => null,
            $method === 'GET' => $urls['read'],
            "$method $path" === 'DELETE /session' => $urls['destroy'],
            default => $urls['write'],
        };
    }

    /** Waits before a retry, with jitter: 50 to 150 ms at first, then twice as long each time. */
    private function pause(int $attempt): void
    {
        ($this->sleep)(random_int(50_000, 150_000) * 2 ** $attempt);
    }

    private function unexpected(string $call, Response $response): Unavailable
    {
        $document = json_decode($response->body, true);
        $reason = $document['detail'] ?? $document['message'] ?? $document['Message'] ?? 'no reason given';
        $call = preg_replace('~ /sessions/.*~', ' /sessions/{handle}', $call);

        return new Unavailable("The session API refused $call with status $response->status: $reason");
    }

    /**
     * @param array<string, string> $headers
     *
     * @return array<string, string>
     */
    private function sign(Signer $signer, string $method, string $url, array $headers, string $body): array
    {
        $parts = parse_url($url);
        // `make run` serves the API without an authorizer.
        $isLocal = \in_array($parts['host'], ['localhost', '127.0.0.1', '[::1]'], true);
        $credentials = $this->credentials($isLocal);
        if ($credentials === null && $isLocal) {
            return $headers;
        }
        if ($credentials === null) {
            throw new Unavailable(
                'There are no AWS credentials to sign calls of the session API with. Give the server a role, set'
                . ' AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, or pass the option "credentials".',
            );
        }
        $host = $parts['host'] . (isset($parts['port']) ? ":{$parts['port']}" : '');

        return $signer->sign($method, $host, $parts['path'], $headers, $body, $credentials, new \DateTimeImmutable());
    }

    /** @throws Unavailable if finding them fails */
    private function credentials(bool $isLocal): ?Credentials
    {
        if ($isLocal && $this->options->credentials === null) {
            return (new DefaultCredentials())->fromVariables();
        }
        if ($this->found?->expiration !== null && $this->found->areFresh(time())) {
            return $this->found;
        }
        try {
            return $this->found = ($this->credentials)();
        } catch (\Exception $error) {
            throw new Unavailable("There are no AWS credentials: {$error->getMessage()}", previous: $error);
        }
    }
}
