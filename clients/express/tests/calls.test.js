'use strict';

const assert = require('node:assert/strict');
const { test } = require('node:test');
const { withApp } = require('./support/app.js');

/** Leaves a session this many seconds to live, as if it had been idle for the rest of its lifetime. */
async function age(id, ttl) {
  const headers = { 'session-id': id, 'session-ttl': String(ttl) };
  const response = await fetch(`${process.env.SESSION_API_URL}/session/touch`, { method: 'POST', headers });
  assert.equal(response.status, 204);
}

test('an empty new session makes no calls', withApp(async (app) => {
  assert.deepEqual((await app.browser().visit()).calls, []);
}));

test('a new session is created in one call', withApp(async (app) => {
  const page = await app.browser().visit(['set', 'a', 1]);
  assert.deepEqual(page.calls, ['PUT /session']);
  assert(page.isNew);
}));

for (const resave of [false, true]) {
  test(`an unchanged session takes one call, with resave: ${resave}`, withApp(async (app) => {
    const browser = app.browser();
    await browser.visit(['set', 'a', 1]);
    const page = await browser.visit();
    assert.deepEqual(page.session, { a: 1 });
    assert.deepEqual(page.calls, ['GET /session']);
  }, {}, { resave, cookie: { maxAge: 3_600_000 } }));

  test(`the expiry slides once touchAfter has passed, with resave: ${resave}`, withApp(async (app) => {
    const browser = app.browser();
    await browser.visit(['set', 'a', 1]);
    assert.deepEqual((await browser.visit()).calls, ['GET /session', 'POST /session/touch']);
  }, { touchAfter: 0 }, { resave }));

  test(`the expiry slides after a twentieth of the lifetime, with resave: ${resave}`, withApp(async (app) => {
    const browser = app.browser();
    const { id } = await browser.visit(['set', 'a', 1]);
    await age(id, 3_450);
    assert.deepEqual((await browser.visit()).calls, ['GET /session']);
    await age(id, 3_420);
    assert.deepEqual((await browser.visit()).calls, ['GET /session', 'POST /session/touch']);
    assert.deepEqual((await browser.visit()).calls, ['GET /session']);
  }, {}, { resave, cookie: { maxAge: 3_600_000 } }));
}

test('a changed session takes two calls', withApp(async (app) => {
  const browser = app.browser();
  await browser.visit(['set', 'a', 1]);
  assert.deepEqual((await browser.visit(['set', 'a', 2])).calls, ['GET /session', 'PUT /session']);
  assert.deepEqual((await browser.visit(['unset', 'a'])).calls, ['GET /session', 'PUT /session']);
  assert.deepEqual((await browser.visit()).session, {});
}));

test('changing the cookie changes the session', withApp(async (app) => {
  const browser = app.browser();
  await browser.visit(['set', 'a', 1]);
  await browser.visit(['maxAge', 60_000], ['set', 'a', 2]);
  const { expires } = await browser.visit();
  assert(Date.parse(expires) - Date.now() < 61_000);
}, {}, { resave: true }));

test('a locked session takes two calls', withApp(async (app) => {
  const browser = app.browser();
  await browser.visit(['set', 'a', 1]);
  assert.deepEqual((await browser.visit(['set', 'a', 2])).calls, ['POST /session/lock', 'PUT /session']);
  assert.deepEqual((await browser.visit()).calls, ['POST /session/lock', 'DELETE /session/lock']);
  assert.deepEqual((await browser.visit(['regenerate'])).calls, ['POST /session/lock', 'POST /session/rotate']);
  assert.deepEqual((await browser.visit(['destroy'])).calls, ['POST /session/lock', 'DELETE /session']);
}, { lock: 1 }));

test('a new id takes two calls, and ends the old one', withApp(async (app) => {
  const browser = app.browser();
  const { id } = await browser.visit(['set', 'a', 1]);
  const page = await browser.visit(['regenerate'], ['set', 'b', 2]);
  assert.deepEqual(page.calls, ['GET /session', 'POST /session/rotate']);
  assert.notEqual(page.id, id);
  assert.deepEqual((await browser.visit()).session, { b: 2 });
  browser.use(id);
  assert.deepEqual((await browser.visit()).session, {});
}));

test('a session that gets two new ids in one request ends once', withApp(async (app) => {
  const browser = app.browser();
  const { id } = await browser.visit(['set', 'a', 1]);
  const page = await browser.visit(['regenerate'], ['regenerate'], ['set', 'b', 2], ['save'], ['regenerate'], ['set', 'c', 3]);
  assert.deepEqual(page.calls, ['GET /session', 'POST /session/rotate', 'POST /session/rotate']);
  assert.deepEqual((await browser.visit()).session, { c: 3 });
  browser.use(id);
  assert.deepEqual((await browser.visit()).session, {});
}));

test('destroying a session that has just got a new id ends the old one', withApp(async (app) => {
  const browser = app.browser();
  const { id } = await browser.visit(['set', 'a', 1]);
  const page = await browser.visit(['regenerate'], ['destroy']);
  assert.deepEqual(page.calls, ['GET /session', 'DELETE /session']);
  browser.use(id);
  assert.deepEqual((await browser.visit()).session, {});
}));

test('an ended session takes two calls', withApp(async (app) => {
  const browser = app.browser();
  const { id } = await browser.visit(['set', 'a', 1]);
  assert.deepEqual((await browser.visit(['destroy'])).calls, ['GET /session', 'DELETE /session']);
  browser.use(id);
  assert.deepEqual((await browser.visit()).session, {});
}));

test('a cookie that is not a valid id makes no calls', withApp(async (app) => {
  const browser = app.browser();
  for (const id of ['short', 'x'.repeat(129), `${'x'.repeat(30)}/../`]) {
    browser.use(id);
    assert.deepEqual((await browser.visit()).calls, [], id);
  }
}));

test('an id that the API does not accept is an error that names genid', withApp(async (app) => {
  const page = await app.browser().visit(['set', 'a', 1], ['save']);
  assert.match(page.error, /genid/);
}, {}, { genid: () => 'short' }));
