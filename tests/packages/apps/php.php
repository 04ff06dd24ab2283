<?php

declare(strict_types=1);

require __DIR__ . '/vendor/autoload.php';
// README
$_SESSION['visits'] = ($_SESSION['visits'] ?? 0) + 1;
echo $_SESSION['visits'];
