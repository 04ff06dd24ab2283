<?php

declare(strict_types=1);

namespace SessionApi\Tests;

/** A browser that visits pages of the app and keeps its session cookie. */
final class Browser
{
    public ?string $cookie = null;
    /** @var array<string, string> Its other cookies. */
    public array $cookies = [];
    /** The last page it visited. */
    public ?Page $last = null;

    /**
     * @param array<string, mixed> $options of the handler
     * @param array<string, string> $ini PHP settings
     */
    public function __construct(
        private readonly string $url,
        private readonly string $calls,
        public array $options = [],
        public array $ini = [],
        private readonly string $agent = 'Firefox',
        public string $path = '/',
    ) {
    }

    /** @param list<list<mixed>> $steps */
    public function visit(array ...$steps): Page
    {
        return $this->visitAtOnce([$steps])[0];
    }

    /**
     * Visits several pages at once.
     *
     * @param list<list<list<mixed>>> $pages the steps of each page
     *
     * @return list<Page>
     */
    public function visitAtOnce(array $pages): array
    {
        return self::visitAll(array_map(fn (array $steps) => [$this, $steps], $pages));
    }

    /**
     * Has several browsers visit a page at once.
     *
     * @param list<array{self, list<list<mixed>>}> $visits
     *
     * @return list<Page>
     */
    public static function visitAll(array $visits): array
    {
        $multi = curl_multi_init();
        $started = [];
        foreach ($visits as [$browser, $steps]) {
            $calls = tempnam(\dirname($browser->calls), 'calls');
            $curl = $browser->prepare($steps, $calls);
            curl_multi_add_handle($multi, $curl);
            $started[] = [$browser, $curl, $calls];
        }
        do {
            curl_multi_exec($multi, $running);
            curl_multi_select($multi, 0.1);
        } while ($running > 0);
        $pages = [];
        foreach ($started as [$browser, $curl, $calls]) {
            $page = Page::parse(curl_multi_getcontent($curl), file($calls, FILE_IGNORE_NEW_LINES));
            unlink($calls);
            $browser->cookie = $page->cookie ?? $browser->cookie;
            $browser->cookies = $page->cookies + $browser->cookies;
            $browser->last = $page;
            $pages[] = $page;
        }

        return $pages;
    }

    /** @param list<list<mixed>> $steps */
    private function prepare(array $steps, string $calls): \CurlHandle
    {
        if (is_file("$this->calls.lose")) {
            rename("$this->calls.lose", "$calls.lose");
        }
        $headers = [
            'X-Calls: ' . $calls,
            'X-Options: ' . json_encode($this->options, JSON_FORCE_OBJECT),
            'X-Ini: ' . json_encode($this->ini, JSON_FORCE_OBJECT),
            "User-Agent: $this->agent",
        ];
        $cookies = ($this->cookie === null ? [] : ['PHPSESSID' => $this->cookie]) + $this->cookies;
        if ($cookies !== []) {
            $headers[] = 'Cookie: ' . http_build_query($cookies, '', '; ', PHP_QUERY_RFC3986);
        }
        $curl = curl_init($this->url . $this->path);
        curl_setopt_array($curl, [
            CURLOPT_POSTFIELDS => json_encode(array_map(fn ($step) => $step + [1 => null, 2 => null], $steps)),
            CURLOPT_HTTPHEADER => $headers,
            CURLOPT_RETURNTRANSFER => true,
            CURLOPT_HEADER => true,
        ]);

        return $curl;
    }

    /** Loses the response to the next call like this, such as `PUT /session`. */
    public function loseResponse(string $call): self
    {
        file_put_contents("$this->calls.lose", $call);

        return $this;
    }
}
