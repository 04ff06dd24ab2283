'use strict';

// What happens to writes: in one request, in parallel requests, and in an outage.
const assert = require('node:assert/strict');
const { spawnSync } = require('node:child_process');
const { randomBytes } = require('node:crypto');
const { test } = require('node:test');
const { SessionApiStore } = require('../src/index.js');
const { withApp } = require('./support/app.js');

/** Calls the API directly, like another framework. */
async function call(method, path, headers, body) {
  const response = await fetch(process.env.SESSION_API_URL + path, { method, headers, body });
  assert(response.ok, `${response.status}`);
  return response;
}

/** Owners that JSON can't represent. */
const USERS = new Map();

const newId = () => randomBytes(24).toString('base64url');

const ttlOf = async (id) => Number((await call('GET', '/session', { 'session-id': id })).headers.get('session-ttl'));

test('destroy and regenerate without a callback do not crash the server in an outage', () => {
  const script = `
    const { once } = require('node:events'), app = require('express')(), session = require('express-session'), { SessionApiStore } = require('@session-api/express');
    app.use(session({ store: new SessionApiStore({ url: 'http://localhost:1' }), secret: 'x', resave: false, saveUninitialized: false }));
    app.get('/:method', (request, response) => { request.session[request.params.method](); response.send('bye'); });
    app.use((error, request, response, next) => {});
    const server = app.listen(0, async () => {
      const warned = once(process, 'warning');
      for (const method of ['regenerate', 'destroy']) {
        console.log(await (await fetch('http://127.0.0.1:' + server.address().port + '/' + method)).text());
      }
      await warned;
      setImmediate(process.exit);
    });`;
  const { stdout, stderr, status } = spawnSync(process.execPath, ['--eval', script], {
    cwd: __dirname, encoding: 'utf8', timeout: 60_000,
  });
  assert.equal(stdout, 'bye\nbye\n', stderr);
  assert.match(stderr, /Unavailable: The session API at http:\/\/localhost:1 cannot be reached/, 'the log has the reason');
  assert.equal(status, 0, stderr);
});

test('if a request saves twice, the later save wins', withApp(async (app) => {
  for (let round = 0; round < 6; round += 1) {
    const browser = app.browser();
    await browser.visit(['set', 'a', 1], ['saveAside'], ['set', 'a', 2], ['set', 'b', 2]);
    assert.deepEqual((await browser.visit()).session, { a: 2, b: 2 }, 'a new session');
    await browser.visit(['set', 'a', 3], ['saveAside'], ['set', 'a', 4], ['set', 'b', 4]);
    assert.deepEqual((await browser.visit()).session, { a: 4, b: 4 }, 'an existing session');
    await browser.visit(['regenerate'], ['set', 'a', 5], ['saveAside'], ['set', 'a', 6], ['set', 'b', 6]);
    assert.deepEqual((await browser.visit()).session, { a: 6, b: 6 }, 'after a new id');
  }
}));

test('a save writes the session as it is at that moment', withApp(async (app) => {
  const browser = app.browser();
  await browser.visit(['set', 'a', 1], ['saveAside'], ['set', 'b', 1], ['saveAside'], ['unset', 'b'], ['sleep', 100]);
  assert.deepEqual((await browser.visit()).session, { a: 1 });
}));

test('an unfinished save does not undo a logout or a new id', withApp(async (app) => {
  for (const steps of [[['destroy']], [['destroyAside'], ['sleep', 100]], [['regenerate']], [['regenerateAside']]]) {
    for (const isNew of [true, false]) {
      const browser = app.browser();
      const id = isNew ? undefined : (await browser.visit(['set', 'a', 1])).id;
      const page = await browser.visit(['set', 'a', 2], ['saveAside'], ...steps);
      assert.equal(page.status, 200, page.error);
      browser.use(id ?? page.firstId);
      assert.deepEqual((await browser.visit()).session, {}, steps[0][0]);
    }
  }
}));

for (const options of [{}, { lock: 1 }]) {
  test(`a reloaded session has what was just saved, with ${JSON.stringify(options)}`, withApp(async (app) => {
    const browser = app.browser();
    await browser.visit(['set', 'a', 1]);
    const page = await browser.visit(['set', 'a', 2], ['saveAside'], ['reload'], ['increment', 'a']);
    assert.deepEqual(page.session, { a: 3 });
  }, options));
}

test('the page after a redirect sees the login', withApp(async (app) => {
  app.proxy.delay = 60;
  for (const steps of [[], [['regenerate']]]) {
    const browser = app.browser();
    await browser.visit(['set', 'a', 1]);
    await browser.follow(...steps, ['set', 'user', 'ada']);
    assert.equal((await browser.visit()).session.user, 'ada', `after ${steps}`);
  }
}));

test('thirty parallel requests keep all keys', withApp(async (app) => {
  const browser = app.browser();
  await browser.visit(['set', 'start', 1]);
  const pages = await Promise.all(Array.from({ length: 30 }, (_, n) => browser.visit(['sleep', 100], ['set', `key${n}`, n], ['save'])));
  assert.deepEqual(pages.map(({ status, error }) => error ?? status), Array(30).fill(200));
  assert.equal(Object.keys((await browser.visit()).session).length, 31);
}));

test('an owner can be a number, or an object that converts to text', withApp(async (app) => {
  const id = BigInt(Math.floor(Math.random() * 1e12));
  for (const [key, user] of [['number', Number(id)], ['bigint', id], ['object', { toString: () => String(id) }]]) {
    USERS.set(key, user);
    assert.equal((await app.browser().visit(['set', 'user', key], ['save'])).error, undefined, key);
    assert.equal((await app.store.devices(user)).length, 1, key);
    assert.equal((await app.store.devices(String(id))).length, 1, key);
    assert.equal(await app.store.logoutEverywhere(user), 1, key);
  }
}, { user: (session) => USERS.get(session.user) }));

test('an invalid owner is an error, and nobody is logged in', withApp(async (app) => {
  for (const user of [true, NaN, 1.5, 2 ** 60, ['ada'], {}, Symbol('ada')]) {
    USERS.set('x', user);
    const browser = app.browser();
    assert.match((await browser.visit(['set', 'user', 'x'], ['save'])).error, /TypeError: The owner of a session must be/);
    await assert.rejects(app.store.devices(user), /The owner of a session must be/);
  }
  for (const nobody of ['', null, undefined]) {
    await assert.rejects(app.store.logoutEverywhere(nobody), TypeError);
  }
}, { user: (session) => USERS.get(session.user) }));

test('a login ends the oldest sessions above the limit', withApp(async (app) => {
  const user = `limited ${newId()}`;
  const browsers = Array.from({ length: 3 }, () => app.browser());
  for (const browser of browsers) {
    await browser.visit(['set', 'a', 1]);
    const { calls } = await browser.visit(['regenerate'], ['set', 'user', user]);
    assert.deepEqual(calls, ['GET /session', 'POST /session/rotate', 'DELETE /sessions']);
    assert.deepEqual((await browser.visit(['set', 'a', 2])).calls, ['GET /session', 'PUT /session'], 'once');
  }
  const sessions = await Promise.all(browsers.map((browser) => browser.visit()));
  assert.deepEqual(sessions.map(({ session }) => session.user), [undefined, user, user]);
  const [first, second] = [app.browser(), app.browser()];
  assert.deepEqual((await first.visit(['set', 'user', user])).calls, ['PUT /session', 'DELETE /sessions']);
  await second.visit(['set', 'a', 1]);
  assert.deepEqual((await second.visit(['set', 'user', user])).calls, ['GET /session', 'PUT /session', 'DELETE /sessions']);
  assert.equal((await app.store.devices(user)).length, 2);
}, { user: (session) => session.user, maxSessions: 2 }));

test('a failure to limit sessions is an error, but the user is logged in', withApp(async (app) => {
  const user = `limited ${newId()}`;
  const browser = app.browser();
  await browser.visit(['set', 'a', 1]);
  app.proxy.loseResponse('DELETE /sessions', 2);
  const page = await browser.visit(['regenerate'], ['set', 'user', user], ['save']);
  assert.match(page.error, /^Unavailable/);
  assert.deepEqual((await browser.visit()).session, { user });
}, { user: (session) => session.user, maxSessions: 2, retries: 0 }));

test('a shorter lifetime reaches unchanged sessions', withApp(async (app) => {
  const browser = app.browser();
  const { id } = await browser.visit(['set', 'a', 1]);
  assert(await ttlOf(id) > 1_000);
  await browser.visit(['maxAge', 600_000]);
  assert(await ttlOf(id) <= 600);
  assert.deepEqual((await browser.visit()).calls, ['GET /session']);
  const shorter = new SessionApiStore({ ttl: 20 });
  const data = await shorter.get(id);
  data.cookie = {};
  await shorter.touch(id, data);
  assert(await ttlOf(id) <= 20);
}));

test('a longer lifetime in the cookie alone is saved', withApp(async (app) => {
  const browser = app.browser();
  const { id } = await browser.visit(['set', 'a', 1]);
  await browser.visit(['maxAge', 3_600_000]);
  await browser.visit(['set', 'a', 2]);
  assert.equal((await app.store.get(id)).cookie.originalMaxAge, 3_600_000);
  assert(await ttlOf(id) > 3_000);
}, { ttl: 60 }));

test('the expiry does not slide on each page if the API cuts the lifetime', withApp(async (app) => {
  const browser = app.browser();
  const { id } = await browser.visit(['set', 'a', 1]);
  assert.deepEqual((await browser.visit()).calls, ['GET /session'], 'known since the session was created');
  await call('POST', '/session/touch', { 'session-id': id, 'session-ttl': '60' });
  assert.deepEqual((await browser.visit()).calls, ['GET /session', 'POST /session/touch']);
  assert.deepEqual((await browser.visit()).calls, ['GET /session'], 'known since the touch');
}, { ttl: 315_360_000 }));

test('computed lifetimes are whole seconds, or an error', withApp(async (app) => {
  const browser = app.browser();
  const { id } = await browser.visit(['set', 'ttl', 59.5], ['save']);
  assert.equal(app.proxy.headers['session-ttl'], '60');
  await browser.visit(['set', 'ttl', 1e300], ['save']);
  assert(await ttlOf(id) > 86_400);
  assert.match((await browser.visit(['unset', 'ttl'], ['save'])).error, /TypeError: The option "ttl" must return a number/);
}, { ttl: (session) => session.ttl }));

test("other frameworks' keys are kept even if a session object can't have them", withApp(async (app) => {
  for (const rest of ['"id":5,"req":1,"save":"me","constructor":{"a":1},"__proto__":{"a":1}', '"cookie":"chocolate"', '"cookie":null']) {
    const id = newId();
    const headers = { 'session-id': id, 'content-type': 'application/json' };
    await call('PUT', '/session', { ...headers, 'if-none-match': '*' }, `{"a":1,${rest}}`);
    const browser = app.browser();
    browser.use(id);
    assert.deepEqual((await browser.visit()).calls, ['GET /session'], 'an unchanged session is not written');
    await Promise.all([browser.visit(['sleep', 50], ['set', 'b', 1]), browser.visit(['sleep', 50], ['set', 'c', 1])]);
    const { cookie, ...data } = await (await call('GET', '/session', { 'session-id': id })).json();
    const expected = JSON.parse(`{"a":1,${rest},"b":1,"c":1}`);
    if ('cookie' in expected) {
      assert.deepEqual({ ...data, cookie }, expected);
    } else {
      assert.deepEqual(data, expected);
    }
  }
}));

test('data that is not an object is an error', withApp(async (app) => {
  for (const data of ['null', '5', '"text"', '[]', '{']) {
    const id = newId();
    await call('PUT', '/session', { 'session-id': id, 'if-none-match': '*' }, data);
    const browser = app.browser();
    browser.use(id);
    const page = await browser.visit();
    assert.match(page.error, /Unavailable: The data of the session/, data);
    assert.equal(page.status, 503);
  }
}));
