<?php

/**
 * The page of both shops. It gets `$user`, `$basket` and `$devices`, and the `$items` on sale.
 */

declare(strict_types=1);

$server = getenv('SHOP_SERVER');
$store = match (getenv('SHOP_STORE')) {
    'api' => 'the session API',
    'files' => 'files of this server',
    'shared' => 'files on a shared disk',
};
$text = fn (string $text): string => htmlspecialchars($text);
$button = fn (string $label, array $fields): string => '<form method="post">'
    . implode(array_map(
        fn ($name, $value) => "<input type=\"hidden\" name=\"$name\" value=\"{$text($value)}\">",
        array_keys($fields),
        $fields,
    ))
    . "<button>{$text($label)}</button></form>";
?>
<!doctype html>
<html lang="en">
<meta charset="utf-8">
<link rel="icon" href="data:,">
<title>The shop on server <?= $text($server) ?></title>
<style>
    body { font: 18px/1.5 system-ui, sans-serif; margin: 2em auto; max-width: 44em; color: #222 }
    form { display: inline } button { font: inherit; margin: .2em; padding: .2em .8em }
    #server { background: <?= $server === 'A' ? '#cfe8ff' : '#ffe3c2' ?>; padding: .3em 1em; border-radius: .3em }
    section { border-top: 1px solid #ccc; margin-top: 1em } li { margin: .2em }
    .current { font-weight: bold }
</style>
<p id="server">Server <b><?= $text($server) ?></b>, sessions in <?= $text($store) ?></p>
<section>
    <h2>Basket</h2>
    <ul id="basket">
        <?php foreach ($basket as $item => $count) : ?>
            <li><?= $text("$count × $item") ?></li>
        <?php endforeach ?>
    </ul>
    <?php foreach ($items as $item) : ?>
        <?= $button("Add $item", ['action' => 'add', 'item' => $item]) ?>
    <?php endforeach ?>
    <?= $button('Add a book, slowly', ['action' => 'slow', 'item' => 'book']) ?>
</section>
<section>
    <?php if ($user === null) : ?>
        <h2>Log in</h2>
        <form method="post">
            <input type="hidden" name="action" value="login">
            <input name="user" value="ada"> <button>Log in</button>
        </form>
    <?php else : ?>
        <h2 id="user"><?= $text($user) ?></h2>
        <?= $button('Log out', ['action' => 'logout']) ?>
        <ul id="devices">
            <?php foreach ($devices as $device) : ?>
                <li <?= $device['current'] ? 'class="current"' : '' ?>>
                    <?= $text($device['label'] ?? 'a device') ?>, used <?= $text(substr($device['used'], 11, 8)) ?>
                    <?= $device['current'] ? '(this one)' : $button('End', [
                        'action' => 'end', 'handle' => $device['handle'],
                    ]) ?>
                </li>
            <?php endforeach ?>
        </ul>
    <?php endif ?>
</section>
