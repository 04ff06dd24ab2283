'use strict';

const assert = require('node:assert/strict');
const { spawn, spawnSync } = require('node:child_process');
const http = require('node:http');
const net = require('node:net');
const path = require('node:path');
const { mkdtempSync, rmSync } = require('node:fs');
const { tmpdir } = require('node:os');
const { test } = require('node:test');
const { setTimeout: sleep } = require('node:timers/promises');
const { SignatureV4 } = require('@smithy/signature-v4');
const { createHash, createHmac } = require('node:crypto');
const { SessionApiStore } = require('../src/index.js');

const ID = 'x'.repeat(32);
const STATIC = { accessKeyId: 'AKIAEXAMPLE', secretAccessKey: 'secret' };

/** Runs a test against a stand-in for the API that answers each request with `respond`. */
function withServer(respond, run) {
  return async () => {
    const requests = [];
    const server = http.createServer(async (request, response) => {
      const chunks = await request.toArray();
      request.body = Buffer.concat(chunks).toString();
      requests.push(request);
      respond(request, response, requests.length);
    });
    server.keepAliveTimeout = 60_000;
    await new Promise((resolve) => { server.listen(0, '127.0.0.1', resolve); });
    try {
      await run({ url: `http://127.0.0.1:${server.address().port}`, requests });
    } finally {
      server.closeAllConnections();
      server.close();
    }
  };
}

function absent(request, response) {
  response.writeHead(404, { 'content-type': 'application/problem+json' });
  response.end('{"type":"urn:session-api:session-not-found"}');
}

for (const kind of ['reset', 'silent']) {
  test(`eight dead connections (${kind}) cost one attempt`, withServer((request, response) => {
    setTimeout(absent, 50, request, response);
  }, async ({ url }) => {
    // A gateway that forgets connections: it answers later requests on them with a reset, or not at all.
    let areForgotten = false;
    const gateway = net.createServer((near) => {
      const isOld = !areForgotten;
      const far = net.connect(new URL(url).port, '127.0.0.1');
      far.pipe(near);
      near.on('data', (data) => {
        if (!isOld || !areForgotten) {
          far.write(data);
        } else if (kind === 'reset') {
          near.resetAndDestroy();
        }
      });
      near.on('error', () => far.destroy());
      near.on('close', () => far.destroy());
    });
    await new Promise((resolve) => { gateway.listen(0, '127.0.0.1', resolve); });
    const store = new SessionApiStore({
      url: `http://127.0.0.1:${gateway.address().port}`,
      ...(kind === 'reset' ? { retries: 0, timeout: 60 } : { retries: 1, timeout: 3 }),
    });
    try {
      await Promise.all(Array.from({ length: 8 }, () => store.get(ID)));
      areForgotten = true;
      assert.deepEqual(await Promise.all([store.get(ID), store.get(ID)]), [null, null]);
    } finally {
      gateway.close();
    }
  }));
}

test('the API and the functions keep connections of their own', withServer((request, response) => {
  response.writeHead(200, { 'content-type': 'application/json' });
  response.end('[]');
}, (api) => withServer(absent, async ({ url, requests }) => {
  const functionUrls = ['read', 'write', 'destroy'].map((name) => `${name}=${url}/${name}/`).join();
  const store = new SessionApiStore({ url: api.url, functionUrls, retries: 0 });
  for (const forget of [() => {}, () => requests[0].socket.destroy(), () => {}]) {
    assert.equal(await store.get(ID), null);
    assert.deepEqual(await store.devices('ada'), []);
    forget();
  }
  assert.deepEqual(requests.map((request) => request.url), Array(3).fill('/read/session'));
  // The functions' connection ended before the last call.
  assert.equal(new Set(requests.map(({ socket }) => socket)).size, 2);
  assert.deepEqual(api.requests.map((request) => request.url), Array(3).fill('/sessions'));
  assert.equal(new Set(api.requests.map(({ socket }) => socket)).size, 1);
})()));

test('local calls are unsigned even if others are not', withServer(absent, async ({ url, requests }) => {
  const functionUrls = ['read', 'write', 'destroy'].map((name) => `${name}=${url}`).join();
  const store = new SessionApiStore({ url: 'https://sessions.example.com', functionUrls });
  assert.equal(await store.get(ID), null);
  assert.equal(requests[0].headers.authorization, undefined);
}));

test('a busy API is called again when it says so', withServer((request, response, count) => {
  if (count > 1) {
    absent(request, response);
    return;
  }
  response.writeHead(503, { 'retry-after': '1' });
  response.end();
}, async ({ url }) => {
  const start = Date.now();
  assert.equal(await new SessionApiStore({ url, retries: 1 }).get(ID), null);
  assert(Date.now() - start >= 990);
}));

test('credentials are fetched once, and again shortly before they expire', withServer(absent, async ({ url }) => {
  for (const [minutes, expected] of [[undefined, 1], [60, 1], [4, 5]]) {
    let fetched = 0;
    const credentials = async () => {
      fetched += 1;
      return { ...STATIC, expiration: minutes && new Date(Date.now() + minutes * 60_000) };
    };
    const store = new SessionApiStore({ url, credentials });
    for (let call = 0; call < 5; call += 1) {
      await store.get(ID);
    }
    assert.equal(fetched, expected, `${minutes} minutes`);
    await Promise.all([store.get(ID), store.get(ID)]);
  }
}));

test('parallel calls fetch credentials once', withServer(absent, async ({ url }) => {
  let fetched = 0;
  const store = new SessionApiStore({ url, credentials: () => { fetched += 1; return sleep(50, STATIC); } });
  await Promise.all([store.get(ID), store.get(ID)]);
  assert.equal(fetched, 1);
}));

test('refused credentials are fetched again, once per call', withServer((request, response) => {
  if (request.headers.authorization.includes('AKIANEW')) {
    absent(request, response);
    return;
  }
  response.writeHead(403, { 'content-type': 'application/json' });
  response.end('{"message":"The security token included in the request is expired"}');
}, async ({ url, requests }) => {
  let accessKeyId = 'AKIAOLD';
  const store = new SessionApiStore({ url, credentials: () => ({ ...STATIC, accessKeyId }), retries: 0 });
  await assert.rejects(store.get(ID), /security token/);
  assert.equal(requests.length, 2);
  accessKeyId = 'AKIANEW';
  assert.equal(await store.get(ID), null);
}));

test('a failure to fetch credentials is retried', withServer(absent, async ({ url }) => {
  let fetched = 0;
  const credentials = async () => {
    fetched += 1;
    if (fetched === 1) {
      throw new Error('the metadata server is busy');
    }
    return STATIC;
  };
  assert.equal(await new SessionApiStore({ url, credentials }).get(ID), null);
}));

test('credentials are used until they expire if new ones cannot be fetched', withServer(absent, async ({ url }) => {
  let fetched = 0;
  const found = { ...STATIC, expiration: new Date(Date.now() + 60_000) };
  const credentials = async () => {
    fetched += 1;
    if (fetched > 1) {
      throw new Error('the metadata server is down');
    }
    return found;
  };
  const store = new SessionApiStore({ url, credentials, retries: 0 });
  assert.equal(await store.get(ID), null);
  assert.equal(await store.get(ID), null);
  found.expiration = new Date();
  await assert.rejects(store.get(ID), /metadata server/);
}));

test('an empty AWS_ACCESS_KEY_ID counts as unset', withServer(absent, async ({ url, requests }) => {
  process.env.AWS_ACCESS_KEY_ID = '';
  try {
    assert.equal(await new SessionApiStore({ url }).get(ID), null);
    assert.equal(requests[0].headers.authorization, undefined);
  } finally {
    delete process.env.AWS_ACCESS_KEY_ID;
  }
}));

/** SHA-256 with the interface that SignatureV4 expects. */
class Sha256 {
  constructor(secret) {
    this.hash = secret === undefined ? createHash('sha256') : createHmac('sha256', secret);
  }

  update(data) {
    this.hash.update(data);
  }

  async digest() {
    return this.hash.digest();
  }
}

/** Checks a request's signature with AWS's own implementation. */
async function verify({ method, url, headers, body }, credentials) {
  const [, signedHeaders] = headers.authorization.match(/SignedHeaders=([^,]+)/);
  const signer = new SignatureV4({
    service: 'execute-api', region: 'eu-central-1', credentials, sha256: Sha256, applyChecksum: false,
  });
  const signed = Object.fromEntries(signedHeaders.split(';').map((name) => [name, headers[name]]));
  assert.deepEqual(Object.keys(headers).filter((name) => /^(session-|if-|idem)/.test(name) && !(name in signed)), []);
  const { hostname, port } = new URL(`http://${headers.host}`);
  const again = await signer.sign(
    { method, protocol: 'http:', hostname, port: Number(port), path: url, headers: signed, body },
    { signingDate: new Date(headers['x-amz-date'].replace(/(....)(..)(..T..)(..)/, '$1-$2-$3:$4:')) },
  );
  assert.equal(headers.authorization, again.headers.authorization);
}

test('calls are signed the way AWS signs them', withServer(absent, async ({ url, requests }) => {
  const credentials = { ...STATIC, sessionToken: 'token' };
  const store = new SessionApiStore({ url: `${url}/stage`, region: 'eu-central-1', credentials, user: 'Zoë' });
  await store.get(ID);
  await store.set(ID, { cookie: {}, name: 'Zoë' }).catch(() => {});
  await store.logoutDevice("a'b (c)", '../a b?c#d%').catch(() => {});
  assert.equal(requests.length, 3);
  for (const request of requests) {
    await verify(request, credentials);
  }
}));

test('a bundled app signs without node_modules', withServer(absent, async ({ url, requests }) => {
  const folder = mkdtempSync(path.join(tmpdir(), 'bundle-'));
  try {
    const bundle = path.join(folder, 'app.js');
    const { status, stderr } = spawnSync(path.join(__dirname, '../node_modules/.bin/esbuild'), [
      '--bundle', '--platform=node', `--outfile=${bundle}`,
    ], {
      cwd: __dirname,
      encoding: 'utf8',
      input: `const { SessionApiStore } = require('@session-api/express');
        new SessionApiStore().get('${ID}').then((session) => console.log(session));`,
    });
    assert.equal(status, 0, stderr);
    assert.doesNotMatch(stderr, /warning/);
    const app = spawn(process.execPath, [bundle], {
      cwd: folder,
      env: {
        SESSION_API_URL: url, AWS_REGION: 'eu-central-1', AWS_ACCESS_KEY_ID: STATIC.accessKeyId, AWS_SECRET_ACCESS_KEY: STATIC.secretAccessKey,
      },
    });
    assert.equal((await app.stdout.toArray()).join(''), 'null\n', (await app.stderr.toArray()).join(''));
    await verify(requests[0], STATIC);
  } finally {
    rmSync(folder, { recursive: true });
  }
}));
