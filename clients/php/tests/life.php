<?php

/** Takes a session through its life with this client, to test a deployed API. Prints `lived` at the end. */

declare(strict_types=1);

use SessionApi\Client;
use SessionApi\Options;

require __DIR__ . '/autoload.php';

$client = new Client(new Options(['ttl' => 600, 'label' => 'PHP & life', 'retries' => 0]));
$id = bin2hex(random_bytes(32));
$user = 'life of ' . substr($id, 0, 8);
$created = $client->create($id, "\0binary\xff") ?? throw new RuntimeException('not created');
$read = $client->read($id);
assert($read->data === "\0binary\xff" && $read->etag === $created->etag);
$locked = $client->lock($id, 0);
$replaced = $client->replace($locked, 'a:1:{i:0;i:1;}');
$client->touch($id);
$newId = bin2hex(random_bytes(32));
$rotated = $client->rotate($replaced, $newId, 'a:1:{i:0;i:2;}', 60, $user);
assert($client->read($newId)->data === $rotated->data && $client->read($newId)->user === $user);
assert($client->create($id, 'again') === null, "the old id is taken as long as it's readable");
[$device] = $client->sessions($user, $newId);
assert($device['label'] === 'PHP & life' && $device['current']);
assert($client->destroyByHandle($user, $device['handle']));
assert($client->destroyAll($user) === 0);
$client->destroy($newId);
assert($client->read($newId) === null);
echo 'lived';
