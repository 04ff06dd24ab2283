<?php

declare(strict_types=1);

namespace SessionApi\Tests;

use PHPUnit\Framework\Attributes\DataProvider;
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
    #[DataProvider('values')]
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
    #[DataProvider('malformed')]
    public function testOtherDataIsNotMerged(string $data): void
    {
        $other = serialize(['a' => 1]);
        self::assertNull(Merge::merge($other, $data, $other));
        self::assertNull(Merge::merge($data, $other, $other));
    }

    /** @return list<array{string}> */
    public static function malformed(): array
    {
        return array_map(fn ($data) => [$data], [
            'garbage', 'a|', 'a|i:1', 'a:1:{s:1:"a";i:1;', 'a:1:{s:9:"a";i:1;}', 'a:1:{s:1:"a";O:1:"x":1:{', 'a:0:{}}',
            "\x01ai:1;",
            'a|r:7;', 'a|r:1', '{"a":1', '{"a":[}', '{"a":1}}', '[1]',
            'a:1:{s:1:"a";C:1:"x":99999999999999999999:{}}',
        ]);
    }

    /**
     * @dataProvider shared
     *
     * @param array<string, mixed> $base
     */
    #[DataProvider('shared')]
    public function testReferencesPointToTheSameValuesAfterAMerge(array $base): void
    {
        [$mine, $theirs] = [['first' => [1, [2]]] + $base + ['mine' => [1]], $base + ['theirs' => 2]];
        unset($theirs['gone']);
        $expected = ['first' => [1, [2]]] + $base + ['mine' => [1], 'theirs' => 2];
        unset($expected['gone']);
        $merged = unserialize(Merge::merge(serialize($base), serialize($mine), serialize($theirs)));
        ksort($merged);
        ksort($expected);
        self::assertSame(serialize($expected), serialize($merged));
    }

    /** @return list<array{array<string, mixed>}> */
    public static function shared(): array
    {
        $object = (object) ['name' => 'ada', 'list' => [Suit::Hearts]];
        $tree = (object) ['child' => (object) ['parent' => null]];
        $tree->child->parent = $tree;
        $text = 'text';

        return array_map(fn (array $base) => [['first' => 1, 'gone' => [1, 2]] + $base], [
            ['items' => [Suit::Hearts, Suit::Hearts]],
            ['list' => [$object, 'a' => ['b' => $object], $object]],
            ['tree' => $tree],
            ['user' => $object, 'z' => [$object, Suit::Hearts]],
            ['a' => &$text, 'b' => [&$text, &$text, $object], 'c' => $object],
            ['a' => [Suit::Hearts], 'dates' => [$date = new \DateTimeImmutable('2026-01-01'), $date]],
        ]);
    }

    public function testReferenceToAValueThatTheOtherSideChangedIsNotMerged(): void
    {
        [$user, $other] = [(object) ['list' => [new \ArrayObject()]], (object) ['list' => [1]]];
        $base = serialize(['user' => $user]);
        $mine = serialize(['user' => $user, 'first' => $user->list[0]]);
        self::assertNull(Merge::merge($base, $mine, serialize(['user' => $other])));
        self::assertSame($mine, Merge::merge($base, $mine, $base));
    }

    public function testJsonIsMerged(): void
    {
        [$base, $mine, $theirs] = array_map(json_encode(...), [self::BASE, self::MINE, self::THEIRS]);
        self::assertSame(self::MERGED, json_decode(Merge::merge($base, $mine, $theirs), true));
        self::assertSame('{"b":2,"a":1}', Merge::merge('', '{"a":1}', '{"b":2}'));
        self::assertSame('[]', Merge::merge('{"a":1}', '[]', '{"a":1}'));
        $values = '{"n":1.0,"big":12345678901234567890,"t":"}\",{","o":{"x":[{},[],{"y":null}]}';
        self::assertSame("$values,\"a\":1}", Merge::merge("$values}", "$values,\"a\":1}", "$values}"));
    }

    public function testSymfonysAttributesAreMergedByTheirKeys(): void
    {
        foreach ([serialize(...), self::php(...)] as $encode) {
            [$base, $mine, $theirs, $merged] = array_map(
                fn (array $attributes) => $encode(['_sf2_attributes' => $attributes, '_sf2_meta' => []]),
                [self::BASE, self::MINE, self::THEIRS, self::MERGED],
            );
            self::assertSame($merged, Merge::merge($base, $mine, $theirs));
        }
        [$mine, $theirs, $merged] = array_map(
            fn (array $attributes) => self::php(['_sf2_attributes' => $attributes]),
            [['a' => 1], ['b' => 1], ['b' => 1, 'a' => 1]],
        );
        self::assertSame($merged, Merge::merge('', $mine, $theirs));
        // Symfony stores no empty bag.
        [$base, $theirs] = [self::php(['_sf2_attributes' => ['a' => 1]]), self::php(['_sf2_attributes' => ['b' => 2]])];
        self::assertSame($theirs, Merge::merge($base, '', $theirs));
        self::assertSame('', Merge::merge($base, '', $base));
    }

    public function testDeepDataIsMerged(): void
    {
        $deep = str_repeat('a:1:{i:0;', 100_000) . 'i:1;' . str_repeat('}', 100_000);
        self::assertSame("a|i:1;b|$deep", Merge::merge('', "b|$deep", 'a|i:1;'));
    }

    /** Encodes variables like the serialize handler `php`. */
    private static function php(array $variables): string
    {
        $encode = fn ($name, $value) => "$name|" . serialize($value);

        return implode('', array_map($encode, array_keys($variables), $variables));
    }

    public function testDataDiffersInOtherKeysThanOne(): void
    {
        $base = ['_previous' => ['url' => '/a'], 'a' => [1, 'x' => 'y']];
        foreach ([serialize(...), json_encode(...)] as $encode) {
            foreach ([[], ['_previous' => ['url' => '/b']], ['_previous' => null]] as $changes) {
                self::assertFalse(Merge::differ($encode($base), $encode($changes + $base), '_previous'));
            }
            foreach ([['b' => 1], ['a' => 2], ['a' => ['_previous' => '/b']]] as $changes) {
                self::assertTrue(Merge::differ($encode($base), $encode($changes + $base), '_previous'));
            }
            self::assertTrue(Merge::differ('', $encode($base), '_previous'));
        }
        self::assertTrue(Merge::differ('encrypted', 'encrypted otherwise', '_previous'));
    }
}
