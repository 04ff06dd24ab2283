<?php

declare(strict_types=1);

namespace SessionApi;

/** Options of the session handler. */
final class Options
{
    /** URL of the API, such as `https://abc.execute-api.eu-central-1.amazonaws.com`. Default: `SESSION_API_URL`. */
    public readonly string $url;
    /**
     * URLs of the API's functions, by name; empty to send all calls to `url`. As an option, it's the stack's output
     * `FunctionUrls`. Default: `SESSION_API_FUNCTION_URLS`, unless `url` is set.
     *
     * @var array<string, string>
     */
    public readonly array $functionUrls;
    /** AWS region to sign for if a URL doesn't name it. Default: `AWS_REGION` or `AWS_DEFAULT_REGION`. */
    public readonly string $region;
    /** See {@see ttl()}. */
    private readonly ?int $ttl;
    /** See {@see touchAfter()}. */
    private readonly ?int $touchAfter;
    /** Seconds to wait for the session's lock, 0 to 10; null for no lock. */
    public readonly ?int $lock;
    /** Seconds until the lock of a page that died expires, 1 to 60. */
    public readonly int $lease;
    /** Maximum number of sessions per user. A login beyond that ends the oldest. Null for no limit. */
    public readonly ?int $maxSessions;
    /** Owner of new sessions, or null. {@see SessionApi::login()} is usually what you need. */
    public readonly ?string $user;
    /** @var (\Closure(): ?string)|string|null See {@see label()}. */
    private readonly \Closure|string|null $label;
    /** Seconds for each attempt of a call, plus the wait for a lock. */
    public readonly float $timeout;
    /** Retries of a failed call. */
    public readonly int $retries;
    /** Seconds that the old id stays readable after a rotation, for requests in flight. */
    public readonly int $grace;
    /** @var (\Closure(): ?Credentials)|null Returns credentials. Default: {@see DefaultCredentials}. */
    public readonly ?\Closure $credentials;

    /** Longest lifetime that the API allows, in seconds, unless it's deployed with another limit. */
    private const MAX_TTL = 34_560_000;
    private const NAMES = [
        'url', 'function_urls', 'region', 'ttl', 'touch_after', 'lock', 'lease', 'max_sessions', 'user', 'label',
        'timeout', 'retries', 'grace', 'credentials',
    ];
    private const FUNCTIONS = ['read', 'write', 'destroy'];

    /**
     * @param array<string, mixed> $options
     *
     * @throws \InvalidArgumentException naming the option and its valid values
     */
    public function __construct(array $options = [])
    {
        $unknown = array_diff(array_keys($options), self::NAMES);
        if ($unknown !== []) {
            throw new \InvalidArgumentException(sprintf(
                'Unknown option "%s". The options are: %s.',
                reset($unknown),
                implode(', ', self::NAMES),
            ));
        }
        $this->url = self::url($options['url'] ?? Environment::get('SESSION_API_URL'));
        // An API that the app names gets no other API's functions from the environment.
        $functionUrls = $options['function_urls']
            ?? (isset($options['url']) ? null : Environment::get('SESSION_API_FUNCTION_URLS'));
        $this->functionUrls = $functionUrls === null ? [] : self::functionUrls($functionUrls);
        $region = $options['region'] ?? Environment::get('AWS_REGION') ?? Environment::get('AWS_DEFAULT_REGION');
        $this->region = self::text('region', $region ?? 'us-east-1', '/^[a-z0-9-]{1,63}$/D', 'an AWS region');
        $number = fn (string $name, int $min, int $max): ?int
            => isset($options[$name]) ? self::number($name, $options[$name], $min, $max) : null;
        $this->ttl = $number('ttl', 1, PHP_INT_MAX);
        $this->touchAfter = $number('touch_after', 0, PHP_INT_MAX);
        $this->lock = ($options['lock'] ?? null) === false ? null : $number('lock', 0, Client::MAX_WAIT);
        $this->lease = $number('lease', 1, Client::MAX_LEASE) ?? 10;
        $this->maxSessions = $number('max_sessions', 1, 100);
        $this->user = isset($options['user']) ? (string) $options['user'] : null;
        $this->label = $options['label'] ?? null;
        $this->timeout = (float) self::number('timeout', $options['timeout'] ?? 5, 0.1, 60);
        $this->retries = $number('retries', 0, 10) ?? 2;
        $this->grace = $number('grace', 0, 300) ?? 60;
        $credentials = $options['credentials'] ?? null;
        $this->credentials = $credentials === null ? null : \Closure::fromCallable($credentials);
    }

    /**
     * Returns the seconds until an unused session expires. Default: `session.gc_maxlifetime`, which an app can set as
     * late as in the call of `session_start()`.
     */
    public function ttl(): int
    {
        return min(self::MAX_TTL, $this->ttl ?? max(1, (int) \ini_get('session.gc_maxlifetime')));
    }

    /** Returns the seconds after which using an unchanged session slides its expiry. Default: 5% of the lifetime. */
    public function touchAfter(): int
    {
        return $this->touchAfter ?? intdiv($this->ttl(), 20);
    }

    /** Returns the name shown in the device list. Default: the browser's `User-Agent`. */
    public function label(): ?string
    {
        return $this->label instanceof \Closure
            ? ($this->label)()
            : $this->label ?? $_SERVER['HTTP_USER_AGENT'] ?? null;
    }

    private static function isUrl(string $url): bool
    {
        $parts = parse_url($url);

        return preg_match('/[\s[:cntrl:]]/', $url) === 0
            && \in_array($parts['scheme'] ?? '', ['http', 'https'], true)
            && ($parts['host'] ?? '') !== ''
            && !array_intersect_key($parts, ['user' => 1, 'pass' => 1, 'query' => 1, 'fragment' => 1]);
    }

    private static function url(?string $url): string
    {
        if (!self::isUrl($url ?? '')) {
            throw new \InvalidArgumentException(
                'Set the option "url" or the variable SESSION_API_URL to the URL of the session API,'
                . ' such as https://abc.execute-api.eu-central-1.amazonaws.com.',
            );
        }

        return rtrim($url, '/');
    }

    /** @return array<string, string> */
    private static function functionUrls(string $value): array
    {
        $urls = [];
        foreach ($parts = explode(',', $value) as $part) {
            [$function, $url] = explode('=', $part, 2) + [1 => ''];
            if (self::isUrl($url)) {
                $urls[$function] = rtrim($url, '/');
            }
        }
        if (\count($parts) !== \count(self::FUNCTIONS) || array_diff(self::FUNCTIONS, array_keys($urls)) !== []) {
            throw new \InvalidArgumentException(
                'Set the option "function_urls" or the variable SESSION_API_FUNCTION_URLS to the stack\'s output'
                . ' FunctionUrls, such as read=https://…,write=https://…,destroy=https://….',
            );
        }

        return $urls;
    }

    private static function text(string $name, string $value, string $form, string $expected): string
    {
        if (preg_match($form, $value) !== 1) {
            throw new \InvalidArgumentException("The option \"$name\" must be $expected; it is \"$value\".");
        }

        return $value;
    }

    private static function number(string $name, mixed $value, int|float $min, int|float $max): int|float
    {
        if (!is_numeric($value) || !($value >= $min && $value <= $max)) {
            $limit = $max === PHP_INT_MAX ? "$min or more" : "from $min to $max";
            throw new \InvalidArgumentException("The option \"$name\" must be a number, $limit.");
        }

        return \is_float($min) ? (float) $value : (int) $value;
    }
}
