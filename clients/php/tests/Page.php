<?php

declare(strict_types=1);

namespace SessionApi\Tests;

/** A page of the app as the browser sees it, and the API calls that it made. */
final class Page
{
    /**
     * @param array<string, mixed>|null $session null if it isn't UTF-8
     * @param list<mixed> $results of the steps
     * @param list<string> $warnings
     * @param list<string> $calls
     * @param array<string, string> $cookies that it set, except the session's
     */
    public function __construct(
        public readonly string $id,
        public readonly bool $isActive,
        public readonly ?array $session,
        public readonly array $results,
        public readonly ?string $error,
        public readonly array $warnings,
        public readonly array $calls,
        public readonly ?string $cookie,
        public readonly array $cookies,
    ) {
    }

    /** @param list<string> $calls */
    public static function parse(string $response, array $calls): self
    {
        [$head, $body] = explode("\r\n\r\n", $response, 2) + [1 => ''];
        $page = json_decode($body, true) ?? throw new \RuntimeException("not a page of the app: $response");
        preg_match_all('/^Set-Cookie: ([^=]+)=([^;\s]*)/mi', $head, $matches);
        $cookies = array_map(rawurldecode(...), array_combine(...\array_slice($matches, 1)));
        [$cookie, $cookies] = [$cookies['PHPSESSID'] ?? null, array_diff_key($cookies, ['PHPSESSID' => 1])];

        return new self(...$page, calls: $calls, cookie: $cookie, cookies: $cookies);
    }
}
