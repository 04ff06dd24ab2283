<?php

declare(strict_types=1);

namespace SessionApi;

/** A response from the API. */
final class Response
{
    /**
     * @param array<string, string> $headers with lowercase names
     * @param bool $isToRetry whether this answers a retry: an earlier attempt failed, but may have taken effect
     */
    public function __construct(
        public readonly int $status,
        public readonly array $headers,
        public readonly string $body,
        public readonly bool $isToRetry = false,
    ) {
    }

    /** @param list<string> $lines header lines, without the status line */
    public static function fromLines(int $status, array $lines, string $body): self
    {
        $headers = [];
        foreach ($lines as $line) {
            [$name, $value] = explode(':', $line, 2) + [1 => ''];
            $headers[strtolower($name)] = trim($value);
        }

        return new self($status, $headers, $body);
    }

    /** Returns this response as one to a retry. */
    public function toRetry(): self
    {
        return new self($this->status, $this->headers, $this->body, isToRetry: true);
    }

    public function header(string $name): ?string
    {
        return $this->headers[$name] ?? null;
    }

    /** Returns the API's problem code, such as `session-not-found`; null if the response isn't one of its problems. */
    public function problem(): ?string
    {
        if (preg_match('~^application/problem\+json\s*(;|$)~i', $this->header('content-type') ?? '') !== 1) {
            return null;
        }
        $prefix = 'urn:session-api:';
        $type = json_decode($this->body, true)['type'] ?? '';

        return \is_string($type) && str_starts_with($type, $prefix) ? substr($type, \strlen($prefix)) : null;
    }

    /** Decodes an owner or a label. If another program didn't encode it, it's returned as is. */
    public static function decode(string $text): string
    {
        $decoded = rawurldecode($text);

        return preg_match('//u', $decoded) === 1 ? $decoded : $text;
    }
}
