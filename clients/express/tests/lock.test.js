'use strict';

const assert = require('node:assert/strict');
const session = require('express-session');
const http = require('node:http');
const { test } = require('node:test');
const { withApp } = require('./support/app.js');

/** Asserts that a page gets a session's lock within the time in the option `lock`, which is shorter than the lease. */
async function assertFree(browser, message) {
  const page = await browser.visit();
  assert.equal(page.status, 200, `${message}: ${page.error}`);
}

/** Serves requests without Express, as shown in the docs of ws and socket.io. */
async function withServer(app, onRequest, onUpgrade, run) {
  const middleware = session({ secret: 'of the tests', store: app.store, resave: false, saveUninitialized: false });
  const server = http.createServer((request, response) => onRequest(request, response, middleware));
  const sockets = [];
  server.on('upgrade', (request, socket) => {
    sockets.push(socket);
    onUpgrade(request, socket, middleware);
  });
  await new Promise((resolve) => { server.listen(0, '127.0.0.1', resolve); });
  try {
    await run(server.address().port);
  } finally {
    sockets.forEach((socket) => socket.destroy());
    server.closeAllConnections();
    server.close();
  }
}

test('an open WebSocket does not hold the lock but can save', withApp(async (app) => {
  const browser = app.browser();
  await browser.visit(['set', 'a', 1]);
  let opened;
  await withServer(app, () => {}, (request, socket, middleware) => {
    middleware(request, {}, () => {
      opened = request;
      socket.write('HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\r\n');
    });
  }, async (port) => {
    for (let n = 1; n <= 2; n += 1) {
      const request = http.request({ port, headers: { connection: 'Upgrade', upgrade: 'websocket', cookie: browser.cookie } });
      request.end();
      await new Promise((resolve) => { request.on('upgrade', resolve); });
      await assertFree(browser, `socket ${n}`);
      for (const key of ['b', 'c']) {
        opened.session[key] = n;
        await new Promise((resolve, reject) => {
          opened.session.save((error) => (error ? reject(error) : resolve()));
        });
      }
    }
    assert.deepEqual((await browser.visit()).session, { a: 1, b: 2, c: 2 });
  });
}, { lock: 5 }));

test('a socket.io poll does not hold the lock', withApp(async (app) => {
  const browser = app.browser();
  await browser.visit(['set', 'a', 1]);
  await withServer(app, (request, response, middleware) => {
    // engine.io sets this before its middleware runs. Browsers can't set it.
    request._query = { EIO: '4', transport: 'polling' };
    middleware(request, response, () => { response.write('a poll that stays open'); });
  }, () => {}, async (port) => {
    const poll = http.request({ port, headers: { cookie: browser.cookie } });
    poll.end();
    await new Promise((resolve) => { poll.on('response', resolve); });
    await assertFree(browser, 'poll');
    poll.destroy();
  });
}, { lock: 5 }));

test('a header or a query alone does not exempt a page from the lock', withApp(async (app) => {
  const browser = app.browser();
  await browser.visit(['set', 'a', 1]);
  let enter;
  const inside = new Promise((resolve) => { enter = resolve; });
  await withServer(app, (request, response, middleware) => {
    middleware(request, response, () => enter(response));
  }, () => {}, async (port) => {
    const request = http.request({ port, path: '/?EIO=4', headers: { 'x-upgrade': 'websocket', cookie: browser.cookie } });
    request.end();
    const response = await inside;
    assert.equal((await browser.visit()).status, 503);
    response.end();
    await new Promise((resolve) => { request.on('response', (response) => response.resume().on('end', resolve)); });
    assert.equal((await browser.visit()).status, 200);
  });
}, { lock: 0 }));

test('looking at a session does not hold its lock', withApp(async (app) => {
  const browser = app.browser();
  const { id } = await browser.visit(['set', 'a', 1]);
  assert.equal((await app.store.get(id)).a, 1);
  assert.equal((await browser.visit()).status, 200, 'with a promise');
  for (const method of ['get', 'load']) {
    const found = await new Promise((resolve, reject) => {
      app.store[method](id, (error, data) => (error ? reject(error) : resolve(data)));
    });
    assert.equal(found.a, 1);
    await assertFree(browser, method);
  }
}, { lock: 5 }));

for (const [what, options, ...steps] of [
  ['too large', {}, ['set', 'a', 'x'.repeat(1_100_000)]],
  ['not serialized', { serializer: { parse: JSON.parse, stringify: refuse } }, ['set', 'a', 'refused']],
  ['without a lifetime', { ttl: (data) => (data.a === 'refused' ? NaN : 60) }, ['set', 'a', 'refused']],
  ['without a clear owner', { user: (data) => data.a === 'refused' || undefined }, ['set', 'a', 'refused']],
]) {
  test(`a session that is ${what} does not stay locked`, withApp(async (app) => {
    const browser = app.browser();
    await browser.visit(['set', 'a', 1]);
    const page = await browser.visit(...steps, ['save']);
    assert.notEqual(page.status, 200);
    const next = await browser.visit();
    assert.equal(next.status, 200, next.error);
    assert.deepEqual(next.session, { a: 1 });
    // The lock is released in the background, long before its lease of 10 s is over.
  }, { lock: 5, ...options }));
}

test('a session that cannot be read does not stay locked', withApp(async (app) => {
  const browser = app.browser();
  const { id } = await browser.visit(['set', 'a', 1]);
  await fetch(`${process.env.SESSION_API_URL}/session`, { method: 'PUT', headers: { 'session-id': id }, body: '{' });
  for (let visit = 0; visit < 2; visit += 1) {
    assert.match((await browser.visit()).error, /Unavailable: The data of the session/);
  }
}, { lock: 0 }));

function refuse(data) {
  if (data.a === 'refused') {
    throw new TypeError('refused');
  }
  return JSON.stringify(data);
}

test('a handler that fails does not leave a lock', withApp(async (app) => {
  const browser = app.browser();
  await browser.visit(['set', 'a', 1]);
  assert.equal((await browser.visit(['no such step'])).status, 500);
  assert.equal((await browser.visit()).status, 200);
}, { lock: 0 }));

test('the lock of a request that never ends expires with its lease', withApp(async (app) => {
  const browser = app.browser();
  await browser.visit(['set', 'a', 1]);
  const stuck = await browser.visitDuring(async () => {
    assert.equal((await browser.visit(['set', 'b', 1])).status, 200);
  }, ['set', 'a', 2], ['save']);
  assert.match(stuck.error, /^Locked/);
  assert.deepEqual((await browser.visit()).session, { a: 1, b: 1 });
}, { lock: 10, lease: 1 }));

test('a request that saves twice loses nothing to one that waits for the lock', withApp(async (app) => {
  const browser = app.browser();
  await browser.visit(['set', 'a', 1]);
  const first = browser.visit(['set', 'b', 1], ['save'], ['sleep', 200], ['set', 'c', 1], ['save']);
  await new Promise((resolve) => { setTimeout(resolve, 50); });
  const second = browser.visit(['sleep', 400], ['set', 'd', 1]);
  assert.deepEqual([(await first).error, (await second).error], [undefined, undefined]);
  assert.deepEqual((await browser.visit()).session, { a: 1, b: 1, c: 1, d: 1 });
  const rotated = app.browser();
  rotated.cookie = browser.cookie;
  const third = rotated.visit(['save'], ['sleep', 200], ['regenerate'], ['set', 'user', 'ada'], ['save']);
  await new Promise((resolve) => { setTimeout(resolve, 50); });
  await browser.visit(['sleep', 400]);
  assert.equal((await third).error, undefined);
  assert.deepEqual((await rotated.visit()).session, { user: 'ada' });
}, { lock: 5 }));
