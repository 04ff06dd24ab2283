<?php

declare(strict_types=1);

namespace SessionApi;

/** Response of the API. */
final class Response
{
    /**
     * @param array<string, string> $headers with names in lower case
     * @param bool $isToRetry whether an earlier attempt of the call failed, and may have been carried out
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

    /** Returns it as the response to a retry. */
    public function toRetry(): self
    {
        return new self($this->status, $this->headers, $this->body, isToRetry: true);
    }

    public function header(string $name): ?string
    {
        return $this->headers[$name] ?? null;
    }

    /** Returns the code of a problem, as in `session-not-found`; null if the response is none of the API's problems. */
    public function problem(): ?string
    {
        if (preg_match('~^application/problem\+json\s*(;|$)~i', $this->header('content-type') ?? '') !== 1) {
            return null;
        }
        $prefix = 'urn:session-api:';
        $type = json_decode($this->body, true)['type'] ?? '';

        return \is_string($type) && str_starts_with($type, $prefix) ? substr($type, \strlen($prefix)) : null;
    }

    /** Decodes an owner or a label. One that another program did not encode stays as it is. */
    public static function decode(string $text): string
    {
        $decoded = rawurldecode($text);

        return preg_match('//u', $decoded) === 1 ? $decoded : $text;
    }
}
