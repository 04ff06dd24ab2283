<?php

declare(strict_types=1);

namespace SessionApi;

/**
 * Three-way merge of session data by the top-level keys of `$_SESSION`, encoded by the serialize handlers `php` or
 * `php_serialize`, or as a JSON object.
 *
 * It works on the text. Nothing is unserialized, so no class is loaded, and values keep their exact bytes.
 *
 * An entry is what's stored under one key: how many values it contains, and its text in parts. A part that isn't text
 * is a reference: its kind (`r` or `R`), the key it points to, and the number of the value under that key. PHP numbers
 * the values of all keys in one sequence, so a merge changes the numbers.
 *
 * @phpstan-type Entry array{count: int, parts: list<string|array{string, string, int}>}
 */
final class Merge
{
    /** Symfony keeps all of a session's attributes under this key, so they're merged by their own keys. */
    private const BAGS = ['_sf2_attributes|', 's:15:"_sf2_attributes";'];

    /**
     * Returns `$theirs` with my changes: the keys that differ between `$base` and `$mine`. If both changed a key, mine
     * wins.
     *
     * @return string|null null if the data can't be merged by keys
     */
    public static function merge(string $base, string $mine, string $theirs): ?string
    {
        $texts = [$base, $mine, $theirs];
        $format = array_values(array_filter(array_map(self::format(...), $texts)))[0] ?? 'php';
        [$base, $mine, $theirs] = array_map(fn (string $text) => self::split($text, $format), $texts);
        if ($base === null || $mine === null || $theirs === null) {
            return null;
        }
        $merged = $theirs;
        foreach (array_keys($base + $mine) as $key) {
            $entries = [$base[$key] ?? null, $mine[$key] ?? null, $theirs[$key] ?? null];
            if ($entries[0] !== $entries[1]) {
                $merged[$key] = self::mergeBags($key, ...$entries) ?? $entries[1];
            }
        }

        return self::join(array_filter($merged), $mine, $theirs, $format);
    }

    /** Whether two versions of the data differ in any other key than this one. Data that can't be split does. */
    public static function differ(string $base, string $mine, string $key): bool
    {
        $texts = [$base, $mine];
        [$base, $mine] = array_map(fn (string $text) => self::split($text, self::format($text) ?? 'php'), $texts);
        $ignored = [serialize($key) => 1, json_encode($key) => 1];

        return $base === null || $mine === null || array_diff_key($base, $ignored) !== array_diff_key($mine, $ignored);
    }

    /**
     * Merges an entry by the keys inside it. Returns null if it isn't one of Symfony's, or can't be merged.
     *
     * @param Entry|null $entries
     *
     * @return Entry|null
     */
    private static function mergeBags(string $key, ?array ...$entries): ?array
    {
        $texts = array_map(fn (?array $entry) => $entry['parts'] ?? [''], $entries);
        if (!\in_array($key, self::BAGS, true) || \count(array_merge(...$texts)) !== 3) {
            return null;
        }
        $arrays = array_map(fn (array $parts) => str_starts_with($parts[0], 'a:') ? $parts[0] : '', $texts);
        $text = self::merge(...$arrays);
        if ($entries[1] === null && $text === 'a:0:{}') {
            // Symfony stores no empty bag.
            return null;
        }
        $count = 0;
        $references = [];

        return self::end($text ?? '', 0, $count, $references) === null ? null : ['count' => $count, 'parts' => [$text]];
    }

    private static function format(string $data): ?string
    {
        return match (true) {
            $data === '' => null,
            $data[0] === '{', $data === '[]' => 'json',
            preg_match('/^a:\d+:\{/', $data) === 1 => 'array',
            default => 'php',
        };
    }

    /**
     * Splits data into its (encoded) keys and their entries.
     *
     * @return array<string, Entry>|null null if the data is malformed
     */
    private static function split(string $data, string $format): ?array
    {
        if ($data === '' || $data === '[]') {
            return [];
        }
        if ($format === 'json') {
            return self::splitJson($data);
        }
        $entries = $firsts = $references = [];
        [$offset, $end, $count] = [0, \strlen($data), 0];
        if ($format === 'array') {
            if (preg_match('/^a:\d+:\{/', $data, $match) !== 1 || !str_ends_with($data, '}')) {
                return null;
            }
            // The array is the first value.
            [$offset, $end, $count] = [\strlen($match[0]), $end - 1, 1];
        }
        while ($offset < $end) {
            $start = $offset;
            $unused = 0;
            // A variable's name ends at the first bar.
            $offset = $format === 'array'
                ? self::end($data, $start, $unused, $references)
                : (strpos($data, '|', $start) ?: -1) + 1;
            if ($offset === null || $offset === 0) {
                return null;
            }
            [$key, $text] = [substr($data, $start, $offset - $start), $offset];
            $firsts[$key] = $count + 1;
            $references = [];
            $offset = self::end($data, $text, $count, $references);
            if ($offset === null) {
                return null;
            }
            $parts = [];
            foreach ($references as [$position, $length, $kind, $value]) {
                $parts[] = substr($data, $text, $position - $text);
                $parts[] = [$kind, '', $value];
                $text = $position + $length;
            }
            $parts[] = substr($data, $text, $offset - $text);
            $entries[$key] = ['count' => $count + 1 - $firsts[$key], 'parts' => $parts];
        }

        return $offset === $end ? self::resolve($entries, $firsts) : null;
    }

    /**
     * Finds the key and value that each reference points to.
     *
     * @param array<string, Entry> $entries
     * @param array<string, int> $firsts number of the first value under each key
     *
     * @return array<string, Entry>|null
     */
    private static function resolve(array $entries, array $firsts): ?array
    {
        foreach ($entries as &$entry) {
            foreach ($entry['parts'] as &$part) {
                if (\is_string($part)) {
                    continue;
                }
                $before = array_filter($firsts, fn (int $first): bool => $first <= $part[2]);
                if ($before === []) {
                    return null;
                }
                $part = [$part[0], (string) array_key_last($before), $part[2] - end($before)];
            }
        }

        return $entries;
    }

    /**
     * @param array<string, Entry> $merged
     * @param array<string, Entry> $mine
     * @param array<string, Entry> $theirs
     *
     * @return string|null null if a reference points to something that the merge has changed
     */
    private static function join(array $merged, array $mine, array $theirs, string $format): ?string
    {
        if ($format === 'json') {
            $pairs = array_map(fn ($key, $entry) => "$key:{$entry['parts'][0]}", array_keys($merged), $merged);

            return $pairs === [] ? '[]' : '{' . implode(',', $pairs) . '}';
        }
        $text = '';
        $count = $format === 'array' ? 1 : 0;
        $firsts = [];
        foreach ($merged as $key => ['count' => $size, 'parts' => $parts]) {
            $firsts[$key] = $count + 1;
            $count += $size;
            $text .= $key;
            foreach ($parts as $part) {
                if (\is_string($part)) {
                    $text .= $part;
                    continue;
                }
                [$kind, $target, $value] = $part;
                $isAsIn = fn (array $side): bool => isset($side[$key], $side[$target], $firsts[$target])
                    && $side[$key] === $merged[$key] && $side[$target] === $merged[$target];
                if (!$isAsIn($mine) && !$isAsIn($theirs)) {
                    return null;
                }
                $text .= "$kind:" . ($firsts[$target] + $value) . ';';
            }
        }

        return $format === 'array' ? 'a:' . \count($merged) . ":{{$text}}" : $text;
    }

    /**
     * Splits a JSON object.
     *
     * @return array<string, Entry>|null
     */
    private static function splitJson(string $data): ?array
    {
        $string = '"(?:[^"\\\\]++|\\\\.)*+"';
        $value = "((?:[^\"\\[\\]{},]++|$string|[\\[{](?:(?2)|,)*+[\\]}])++)";
        $entries = [];
        for ($offset = 1; preg_match("/\\G\\s*($string)\\s*:$value([,}])/s", $data, $match, 0, $offset) === 1;) {
            $entries[$match[1]] = ['count' => 0, 'parts' => [$match[2]]];
            $offset += \strlen($match[0]);
            if ($match[3] === '}') {
                break;
            }
        }

        return trim(substr($data, $offset)) === '' && str_starts_with($data, '{') ? $entries : null;
    }

    /**
     * Returns the offset after the serialized value at this offset, or null if it's malformed.
     *
     * @param int $count number of values so far, increased by those in this one
     * @param list<array{int, int, string, int}> $references references so far, plus those in this value: offset,
     *     length, kind, and the number of the value that each points to
     */
    private static function end(string $data, int $offset, int &$count, array &$references): ?int
    {
        // For each array and object we're inside: whether a key comes next.
        $isKeyNext = [];
        $depth = 0;
        $isOpaque = false;
        do {
            if ($depth > 0 && ($data[$offset] ?? '') === '}') {
                --$depth;
                ++$offset;
                continue;
            }
            $isKey = $depth > 0 && $isKeyNext[$depth];
            if ($depth > 0) {
                $isKeyNext[$depth] = !$isKey;
            }
            $count += $isKey || ($data[$offset] ?? '') === 'R' ? 0 : 1;
            if (preg_match('/\G(?:N;|[bid]:[^;]+;)/', $data, $match, 0, $offset) === 1) {
                $offset += \strlen($match[0]);
            } elseif (preg_match('/\G([rR]):(\d+);/', $data, $match, 0, $offset) === 1) {
                $references[] = [$offset, \strlen($match[0]), $match[1], (int) $match[2]];
                $offset += \strlen($match[0]);
            } elseif (preg_match('/\G([sE]):(\d+):"/', $data, $match, 0, $offset) === 1) {
                $offset += \strlen($match[0]) + (int) $match[2];
                if (substr($data, $offset, 2) !== '";') {
                    return null;
                }
                $offset += 2;
            } elseif (preg_match('/\Ga:\d+:\{/', $data, $match, 0, $offset) === 1) {
                $offset += \strlen($match[0]);
                $isKeyNext[++$depth] = true;
            } elseif (preg_match('/\G([OC]):(\d+):"/', $data, $match, 0, $offset) === 1) {
                $offset += \strlen($match[0]) + (int) $match[2];
                if (preg_match('/\G":(\d+):\{/', $data, $size, 0, $offset) !== 1) {
                    return null;
                }
                $offset += \strlen($size[0]);
                if ($match[1] === 'C') {
                    // The class serialized itself in its own format, which may contain numbered values, too.
                    $isOpaque = true;
                    $offset += (int) $size[1];
                    if (($data[$offset] ?? '') !== '}') {
                        return null;
                    }
                    ++$offset;
                } else {
                    $isKeyNext[++$depth] = true;
                }
            } else {
                return null;
            }
        } while ($depth > 0);

        return $isOpaque && $references !== [] ? null : $offset;
    }
}
