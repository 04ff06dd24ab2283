<?php

declare(strict_types=1);

namespace SessionApi;

/** Options of the session handler. */
final class Options
{
    /** URL of the API, as in `https://abc.execute-api.eu-central-1.amazonaws.com`. Default: `SESSION_API_URL`. */
    public readonly string $url;
    /** AWS region that signatures are for. Default: `AWS_REGION` or `AWS_DEFAULT_REGION`. */
    public readonly string $region;
    /** Seconds until an unused session expires. Default: `session.gc_maxlifetime`. */
    public readonly int $ttl;
    /** Seconds after which the use of an unchanged session slides its expiry. Default: a twentieth of the lifetime. */
    public readonly int $touchAfter;
    /** Seconds to wait for the session's lock, 0 to 10; null to use no lock. */
    public readonly ?int $lock;
    /** Owner of new sessions, or null. See {@see SessionApi::login()} for owners of existing ones. */
    public readonly ?string $user;
    /** @var (\Closure(): ?string)|string|null See {@see label()}. */
    private readonly \Closure|string|null $label;
    /** Seconds for each attempt of a call. Waits for a lock come on top of it. */
    public readonly float $timeout;
    /** Number of retries of a call that failed. */
    public readonly int $retries;
    /** Seconds that an old id stays readable after a rotation that keeps it. */
    public readonly int $grace;
    /** @var (\Closure(): ?Credentials)|null Source of credentials. Default: {@see DefaultCredentials}. */
    public readonly ?\Closure $credentials;

    private const NAMES = [
        'url', 'region', 'ttl', 'touch_after', 'lock', 'user', 'label', 'timeout', 'retries', 'grace', 'credentials',
    ];

    /**
     * @param array<string, mixed> $options
     *
     * @throws \InvalidArgumentException that names the option and its valid values
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
        $region = $options['region'] ?? Environment::get('AWS_REGION') ?? Environment::get('AWS_DEFAULT_REGION');
        $this->region = self::text('region', $region ?? 'us-east-1', '/^[a-z0-9-]{1,63}$/D', 'an AWS region');
        $this->ttl = self::number('ttl', $options['ttl'] ?? (int) \ini_get('session.gc_maxlifetime'), 1, PHP_INT_MAX);
        $touchAfter = $options['touch_after'] ?? intdiv($this->ttl, 20);
        $this->touchAfter = self::number('touch_after', $touchAfter, 0, PHP_INT_MAX);
        $lock = $options['lock'] ?? null;
        $this->lock = $lock === null || $lock === false ? null : self::number('lock', $lock, 0, Client::MAX_WAIT);
        $this->user = isset($options['user']) ? (string) $options['user'] : null;
        $this->label = $options['label'] ?? $_SERVER['HTTP_USER_AGENT'] ?? null;
        $this->timeout = (float) self::number('timeout', $options['timeout'] ?? 5, 0.1, 60);
        $this->retries = self::number('retries', $options['retries'] ?? 2, 0, 10);
        $this->grace = self::number('grace', $options['grace'] ?? 60, 0, 300);
        $credentials = $options['credentials'] ?? null;
        $this->credentials = $credentials === null ? null : \Closure::fromCallable($credentials);
    }

    /** Returns what a user recognizes the session by in a list of devices. Default: the browser's `User-Agent`. */
    public function label(): ?string
    {
        return $this->label instanceof \Closure ? ($this->label)() : $this->label;
    }

    private static function url(?string $url): string
    {
        $parts = parse_url($url ?? '');
        $isUrl = \in_array($parts['scheme'] ?? '', ['http', 'https'], true)
            && ($parts['host'] ?? '') !== ''
            && !array_intersect_key($parts, ['user' => 1, 'pass' => 1, 'query' => 1, 'fragment' => 1]);
        if (!$isUrl) {
            throw new \InvalidArgumentException(
                'Set the option "url" or the variable SESSION_API_URL to the URL of the session API,'
                . ' as in https://abc.execute-api.eu-central-1.amazonaws.com.',
            );
        }

        return rtrim($url, '/');
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
        if (!is_numeric($value) || $value < $min || $value > $max) {
            $limit = $max === PHP_INT_MAX ? "$min or more" : "from $min to $max";
            throw new \InvalidArgumentException("The option \"$name\" must be a number, $limit.");
        }

        return \is_float($min) ? (float) $value : (int) $value;
    }
}
