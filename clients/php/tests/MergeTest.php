<?php

declare(strict_types=1);

namespace SessionApi\Tests;

use PHPUnit\Framework\TestCase;
use SessionApi\Merge;

final class MergeTest extends TestCase
{
    private const BASE = ['same' => 1, 'mine' => 1, 'theirs' => 1, 'both' => 1, 'removed' => 1, 'gone' => 1];
    private const MINE = ['same' => 1, 'mine' => 2, 'theirs' => 1, 'both' => 'my', 'gone' => 1, 'new' => [['}']]];
    private const THEIRS = ['same' => 1, 'mine' => 1, 'theirs' => 3, 'both' => 2, 'removed' => 1, 'it' => ';|'];
    private const MERGED = ['same' => 1, 'mine' => 2, 'theirs' => 3, 'both' => 'my', 'it' => ';|', 'new' => [['}']]];

    public function testChangesOfBothSidesAreKept(): void
    {
        $merged = Merge::merge(serialize(self::BASE), serialize(self::MINE), serialize(self::THEIRS));
        self::assertSame(self::MERGED, unserialize($merged));
        $merged = Merge::merge(self::php(self::BASE), self::php(self::MINE), self::php(self::THEIRS));
        self::assertSame(self::php(self::MERGED), $merged);
    }

    public function testNewSessionsAreMerged(): void
    {
        $merged = Merge::merge('', serialize(['a' => 1]), serialize(['b' => 2]));
        self::assertSame(serialize(['b' => 2, 'a' => 1]), $merged);
        self::assertSame('b|i:2;a|i:1;', Merge::merge('', 'a|i:1;', 'b|i:2;'));
        self::assertSame('b|i:2;', Merge::merge('a|i:1;', '', 'a|i:1;b|i:2;'));
    }

    /** @dataProvider values */
    public function testValuesKeepTheirBytes(mixed $value): void
    {
        foreach ([serialize(...), self::php(...)] as $encode) {
            [$before, $after] = [$encode(['a' => $value]), $encode(['a' => $value, 'b' => 1])];
            self::assertSame($after, Merge::merge($before, $after, $before));
        }
    }

    /** @return list<array{mixed}> */
    public static function values(): array
    {
        $object = new \stdClass();
        $object->{'a}'} = ['"', null];

        return array_map(fn ($value) => [$value], [
            null, true, -5, 1.5, INF, NAN, '', "\";}i:5;\0", str_repeat('ä', 1000), [], [[[]]], ['a' => ['b' => []]],
            $object, new \ArrayObject([1, $object]), new \DateTimeImmutable('2026-01-01'), Suit::Hearts,
            new \SplObjectStorage(),
        ]);
    }

    /** @dataProvider malformed */
    public function testOtherDataIsNotMerged(string $data): void
    {
        $other = serialize(['a' => 1]);
        self::assertNull(Merge::merge($other, $data, $other));
        self::assertNull(Merge::merge($data, $other, $other));
    }

    /** @return list<array{string}> */
    public static function malformed(): array
    {
        $shared = [1];

        return array_map(fn ($data) => [$data], [
            'garbage', 'a|', 'a|i:1', 'a:1:{s:1:"a";i:1;', 'a:1:{s:9:"a";i:1;}', 'a:1:{s:1:"a";O:1:"x":1:{', 'a:0:{}}',
            "\x01ai:1;",
            serialize(['a' => &$shared, 'b' => &$shared]),
            'a:1:{s:1:"a";C:1:"x":99999999999999999999:{}}',
        ]);
    }

    public function testDeepDataIsMerged(): void
    {
        $deep = str_repeat('a:1:{i:0;', 100_000) . 'i:1;' . str_repeat('}', 100_000);
        self::assertSame("a|i:1;b|$deep", Merge::merge('', "b|$deep", 'a|i:1;'));
    }

    /** Encodes variables as the serialize handler `php` does. */
    private static function php(array $variables): string
    {
        $encode = fn ($name, $value) => "$name|" . serialize($value);

        return implode('', array_map($encode, array_keys($variables), $variables));
    }
}
