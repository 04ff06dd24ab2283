<?php

/** Stands in for the endpoints that hand out credentials: a container's and an instance's. */

declare(strict_types=1);

$credentials = static fn (string $id, int $seconds): string => json_encode([
    'AccessKeyId' => $id,
    'SecretAccessKey' => 'secret',
    'Token' => 'the token',
    'Expiration' => gmdate('Y-m-d\TH:i:s\Z', time() + $seconds),
]);
$hasToken = ($_SERVER['HTTP_X_AWS_EC2_METADATA_TOKEN'] ?? '') === 'session';
$roles = '/latest/meta-data/iam/security-credentials/';
$body = match ([$_SERVER['REQUEST_METHOD'], $_SERVER['REQUEST_URI']]) {
    ['GET', '/container'] => $credentials('container ' . $_SERVER['HTTP_AUTHORIZATION'], 3600),
    ['GET', '/expiring'] => $credentials(bin2hex(random_bytes(8)), 299),
    ['PUT', '/latest/api/token'] => isset($_SERVER['HTTP_X_AWS_EC2_METADATA_TOKEN_TTL_SECONDS']) ? 'session' : null,
    ['GET', $roles] => $hasToken ? "the-role\n" : null,
    ['GET', $roles . 'the-role'] => $hasToken ? $credentials('instance', 3600) : null,
    default => null,
};
if ($body === null) {
    http_response_code(401);
}
echo $body;
