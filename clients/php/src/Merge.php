<?php

declare(strict_types=1);

namespace SessionApi;

/**
 * Three-way merge of session data by the top-level keys of `$_SESSION`, as the serialize handlers `php` and
 * `php_serialize` encode it.
 *
 * It works on the text. Nothing is unserialized, so no class is loaded, and values keep their bytes.
 */
final class Merge
{
    /**
     * Returns their data with the keys changed that differ between `$base` and `$mine`. Where both changed a key,
     * mine wins.
     *
     * @return string|null null if the data cannot be split by keys
     */
    public static function merge(string $base, string $mine, string $theirs): ?string
    {
        $isArray = self::isArray($base) || self::isArray($mine) || self::isArray($theirs);
        $base = self::split($base, $isArray);
        $mine = self::split($mine, $isArray);
        $merged = self::split($theirs, $isArray);
        if ($base === null || $mine === null || $merged === null) {
            return null;
        }
        foreach ($mine as $key => $value) {
            if (($base[$key] ?? null) !== $value) {
                $merged[$key] = $value;
            }
        }
        foreach (array_diff_key($base, $mine) as $key => $_) {
            unset($merged[$key]);
        }
        $text = '';
        foreach ($merged as $key => $value) {
            $text .= $key . $value;
        }

        return $isArray ? 'a:' . \count($merged) . ":{{$text}}" : $text;
    }

    private static function isArray(string $data): bool
    {
        return preg_match('/^a:\d+:\{/', $data) === 1;
    }

    /**
     * Splits data into its keys, as they are encoded, and their values.
     *
     * @return array<string, string>|null null if the data is malformed, or has references: those count positions from
     *                                    the beginning of the data
     */
    private static function split(string $data, bool $isArray): ?array
    {
        $entries = [];
        $offset = 0;
        $end = \strlen($data);
        if ($isArray && $data !== '') {
            if (preg_match('/^a:\d+:\{/', $data, $match) !== 1 || !str_ends_with($data, '}')) {
                return null;
            }
            $offset = \strlen($match[0]);
            --$end;
        }
        while ($offset < $end) {
            if ($isArray) {
                $key = self::value($data, $offset);
            } else {
                // The name of a variable ends at the first bar.
                $bar = strpos($data, '|', $offset);
                $key = $bar === false ? null : $bar + 1;
            }
            $value = $key === null ? null : self::value($data, $key);
            if ($value === null) {
                return null;
            }
            $entries[substr($data, $offset, $key - $offset)] = substr($data, $key, $value - $key);
            $offset = $value;
        }

        return $offset === $end ? $entries : null;
    }

    /** Returns the offset after the serialized value at this offset, or null if it is malformed or a reference. */
    private static function value(string $data, int $offset): ?int
    {
        $depth = 0;
        do {
            if ($depth > 0 && ($data[$offset] ?? '') === '}') {
                --$depth;
                ++$offset;
                continue;
            }
            if (preg_match('/\G(?:N;|[bid]:[^;]+;)/', $data, $match, 0, $offset) === 1) {
                $offset += \strlen($match[0]);
            } elseif (preg_match('/\G([sE]):(\d+):"/', $data, $match, 0, $offset) === 1) {
                $offset += \strlen($match[0]) + (int) $match[2];
                if (substr($data, $offset, 2) !== '";') {
                    return null;
                }
                $offset += 2;
            } elseif (preg_match('/\Ga:\d+:\{/', $data, $match, 0, $offset) === 1) {
                $offset += \strlen($match[0]);
                ++$depth;
            } elseif (preg_match('/\G([OC]):(\d+):"/', $data, $match, 0, $offset) === 1) {
                $offset += \strlen($match[0]) + (int) $match[2];
                if (preg_match('/\G":(\d+):\{/', $data, $size, 0, $offset) !== 1) {
                    return null;
                }
                $offset += \strlen($size[0]);
                if ($match[1] === 'C') {
                    // The class serialized itself, in a form of its own.
                    $offset += (int) $size[1];
                    if (($data[$offset] ?? '') !== '}') {
                        return null;
                    }
                    ++$offset;
                } else {
                    ++$depth;
                }
            } else {
                return null;
            }
        } while ($depth > 0);

        return $offset;
    }
}
