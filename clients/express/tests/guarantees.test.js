'use strict';

const assert = require('node:assert/strict');
const { spawnSync } = require('node:child_process');
const { test } = require('node:test');
const { SessionApiStore } = require('../src/index.js');
const { withApp } = require('./support/app.js');

test('an API that cannot be reached is not an empty session', withApp(async (app) => {
  const browser = app.browser();
  await browser.visit(['set', 'a', 1]);
  const { cookie } = browser;
  app.proxy.stop();
  const page = await browser.visit(['set', 'a', 2]);
  assert.equal(page.status, 503);
  assert.match(page.error, /^Unavailable: The session API at http:\S+ cannot be reached/);
  assert.equal(browser.cookie, cookie);
}, { retries: 0 }));

test('a response of another server is not an empty session', withApp(async (app) => {
  const store = new SessionApiStore({ url: `http://127.0.0.1:${app.server.address().port}` });
  await assert.rejects(store.get('a'.repeat(32)), { name: 'Unavailable', message: /refused GET \/session with status 404/ });
}));

test('lost responses are retried with the same effect', withApp(async (app) => {
  const browser = app.browser();
  const visitLosing = async (call, ...steps) => {
    app.proxy.loseResponse(call);
    const page = await browser.visit(...steps);
    assert.equal(page.status, 200, page.error);
    assert.equal(page.calls.filter((made) => made === call).length, 2, call);
  };
  await visitLosing('PUT /session', ['set', 'a', 1]);
  await visitLosing('PUT /session', ['set', 'a', 2]);
  await visitLosing('GET /session', ['increment', 'a']);
  await visitLosing('POST /session/touch');
  assert.deepEqual((await browser.visit()).session, { a: 3 });
  await visitLosing('POST /session/rotate', ['regenerate'], ['set', 'b', 1]);
  assert.deepEqual((await browser.visit()).session, { b: 1 });
  const { cookie } = browser;
  await visitLosing('DELETE /session', ['destroy']);
  browser.cookie = cookie;
  assert.deepEqual((await browser.visit()).session, {});
}, { touchAfter: 0 }));

test('a new id whose response was lost still ends the old one with the next write', withApp(async (app) => {
  const browser = app.browser();
  const { id } = await browser.visit(['set', 'a', 1]);
  // The first attempt used a kept connection, so it doesn't count.
  app.proxy.loseResponse('POST /session/rotate', 2);
  const page = await browser.visit(['regenerate'], ['set', 'b', 1], ['save']);
  assert.equal(page.status, 503);
  // express-session writes the session again at the end of the response.
  assert.deepEqual(page.calls, ['GET /session', ...Array(3).fill('POST /session/rotate')]);
  assert.deepEqual((await browser.visit()).session, { b: 1 });
  browser.use(id);
  assert.deepEqual((await browser.visit()).session, {});
}, { retries: 0 }));

test('lost responses of a lock are retried', withApp(async (app) => {
  const browser = app.browser();
  await browser.visit(['set', 'a', 1]);
  for (const [call, ...steps] of [['POST /session/lock', ['set', 'a', 2]], ['DELETE /session/lock']]) {
    app.proxy.loseResponse(call);
    assert.equal((await browser.visit(...steps)).calls.length, 3);
  }
  assert.deepEqual((await browser.visit()).session, { a: 2 });
}, { lock: 0 }));

test('parallel requests keep all keys', withApp(async (app) => {
  const browser = app.browser();
  await browser.visit(['set', 'start', 1], ['set', 'gone', 1]);
  const pages = Array.from({ length: 8 }, (_, n) => browser.visit(['sleep', 50], ['set', `key${n}`, { n }]));
  await Promise.all([...pages, browser.visit(['sleep', 50], ['unset', 'gone'])]);
  const { session } = await browser.visit();
  assert.equal(Object.keys(session).length, 9);
  assert.equal(session.gone, undefined);
}));

test('a request that saves twice keeps what others wrote in between', withApp(async (app) => {
  const browser = app.browser();
  await browser.visit(['set', 'a', 1]);
  await browser.visitDuring(() => browser.visit(['set', 'd', 1]), ['set', 'b', 1], ['save'], ['set', 'c', 1]);
  assert.deepEqual((await browser.visit()).session, { a: 1, b: 1, c: 1, d: 1 });
}));

test('parallel requests with the lock count correctly', withApp(async (app) => {
  const browser = app.browser();
  await browser.visit(['set', 'n', 0]);
  const pages = await Promise.all(Array.from({ length: 8 }, () => browser.visit(['increment', 'n'])));
  assert.deepEqual(pages.map((page) => page.status), Array(8).fill(200));
  assert.deepEqual((await browser.visit()).session, { n: 8 });
}, { lock: 10 }));

test('a request that does not get the lock fails and changes nothing', withApp(async (app) => {
  const browser = app.browser();
  await browser.visit(['set', 'n', 0]);
  const page = await browser.visitDuring(async () => {
    assert.equal((await browser.visit(['increment', 'n'])).status, 503);
  }, ['increment', 'n']);
  assert.equal(page.status, 200);
  assert.deepEqual((await browser.visit()).session, { n: 1 });
}, { lock: 0 }));

test('a locked session can be reloaded', withApp(async (app) => {
  const browser = app.browser();
  await browser.visit(['set', 'a', 1]);
  const page = await browser.visit(['set', 'a', 2], ['reload'], ['set', 'b', 1]);
  assert.deepEqual(page.calls, ['POST /session/lock', 'GET /session', 'PUT /session']);
  assert.deepEqual((await browser.visit()).session, { a: 1, b: 1 });
}, { lock: 0 }));

test('a slow request does not undo a logout', withApp(async (app) => {
  for (const last of [['set', 'a', 2], ['set', 'a', 1], ['save']]) {
    const browser = app.browser();
    const { id } = await browser.visit(['set', 'a', 1]);
    const logout = app.browser();
    logout.use(id);
    assert.equal((await browser.visitDuring(() => logout.visit(['destroy']), last)).status, 200);
    browser.use(id);
    assert.deepEqual((await browser.visit()).session, {}, last[0]);
  }
}, { touchAfter: 0 }));

test('a slow request does not send the id of an ended session again', withApp(async (app) => {
  const browser = app.browser();
  for (const last of [['set', 'a', 2], ['set', 'a', 1]]) {
    const { id } = await browser.visit(['set', 'a', 1]);
    const page = await browser.visitDuring(() => app.store.destroy(id), last, ['save']);
    assert.deepEqual([page.status, page.isNew], [200, false]);
  }
}, { touchAfter: 0 }, { rolling: true, cookie: { maxAge: 60_000 } }));

test('a slow request that gets a new id begins an empty session after a logout', withApp(async (app) => {
  const browser = app.browser();
  const { id } = await browser.visit(['set', 'a', 1]);
  const page = await browser.visitDuring(() => app.store.destroy(id), ['regenerate'], ['set', 'user', 'ada']);
  assert.equal(page.status, 200);
  assert.deepEqual((await browser.visit()).session, { user: 'ada' });
}));

test('touching a session keeps its cookie from expiring', withApp(async (app) => {
  const browser = app.browser();
  const created = await browser.visit(['set', 'a', 1]);
  await new Promise((resolve) => { setTimeout(resolve, 1_100); });
  await browser.visit();
  const data = await app.store.get(created.id);
  assert(Date.parse(data.cookie.expires) > Date.parse(created.expires));
}, { touchAfter: 0 }, { cookie: { maxAge: 60_000 } }));

test('a user lists and ends devices', withApp(async (app) => {
  const user = `ada ü (${Math.random()})`;
  const [phone, laptop] = [app.browser('Téléphone '.repeat(30)), app.browser('Laptop')];
  await phone.visit(['set', 'user', user]);
  const { id } = await laptop.visit(['set', 'user', user]);
  const devices = await app.store.devices(user, id);
  assert.deepEqual(devices.map(({ current }) => current), [true, false]);
  assert.equal(devices[0].label, 'Laptop');
  assert(devices[1].label.startsWith('Téléphone Téléphone'));
  app.proxy.loseResponse(`DELETE /sessions/${devices[1].handle}`);
  assert(await app.store.logoutDevice(user, devices[1].handle));
  assert(!await app.store.logoutDevice(user, devices[1].handle));
  assert.deepEqual((await phone.visit()).session, {});
  await phone.visit(['set', 'user', user]);
  assert.equal(await app.store.logoutOtherDevices(user, id), 1);
  assert.deepEqual((await laptop.visit()).session, { user });
  await laptop.visit(['set', 'user', '']);
  assert.deepEqual(await app.store.devices(user), [], 'a logout removes the owner');
  await laptop.visit(['set', 'user', user]);
  await laptop.visit(['regenerate'], ['set', 'a', 1]);
  assert.deepEqual(await app.store.devices(user), [], 'a new session after a logout belongs to nobody');
  await laptop.visit(['set', 'user', user]);
  assert.equal(await app.store.logoutEverywhere(user), 1);
  assert.deepEqual((await laptop.visit()).session, {});
}, { user: (session) => session.user }));

test('a lifetime of 0 ends the session', withApp(async (app) => {
  const browser = app.browser();
  const { id } = await browser.visit(['set', 'ttl', 60]);
  assert.notEqual(await app.store.get(id), null);
  assert.deepEqual((await browser.visit(['set', 'ttl', 0])).calls, ['GET /session', 'DELETE /session']);
  assert.equal(await app.store.get(id), null);
}, { ttl: (session) => session.ttl }));

test('a serializer decides how sessions become text', withApp(async (app) => {
  const browser = app.browser();
  await browser.visit(['set', 'a', 1]);
  await Promise.all(['b', 'c'].map((key) => browser.visit(['sleep', 50], ['set', key, 1])));
  assert.deepEqual((await browser.visit()).session, { a: 1, b: 1, c: 1 });
}, {
  serializer: {
    parse: (text) => JSON.parse(Buffer.from(text, 'hex').toString()),
    stringify: (session) => Buffer.from(JSON.stringify(session)).toString('hex'),
  },
}));

test('an app can read and write sessions itself', withApp(async (app) => {
  const { id } = await app.browser().visit(['set', 'a', 1]);
  const data = await app.store.get(id);
  data.b = 2;
  await app.store.set(id, data);
  await app.store.set(id, { cookie: {}, c: 3 });
  assert.equal((await app.store.get(id)).c, 3);
  await app.store.touch(id, { cookie: {} });
  await app.store.destroy(id);
  await app.store.touch(id, { cookie: {} });
  assert.equal(await app.store.get(id), null);
}));

test('a name that is not encoded stays as it is', withApp(async (app) => {
  const id = 'x'.repeat(30) + Math.random().toString(36).slice(2);
  const headers = { 'session-id': id, 'if-none-match': '*', 'session-user': '100%', 'session-label': '%zz' };
  const created = await fetch(`${process.env.SESSION_API_URL}/session`, { method: 'PUT', headers, body: '{}' });
  assert.equal(created.status, 201);
  assert.deepEqual(await app.store.get(id), { cookie: {} });
  await fetch(`${process.env.SESSION_API_URL}/session/touch`, {
    method: 'POST',
    headers: { 'session-id': id, 'session-user': 'of%20a%20label' },
  });
  assert.deepEqual((await app.store.devices('of a label')).map(({ label }) => label), ['%zz']);
  await app.store.destroy(id);
}));

test('an exception in a callback is not mistaken for a failure of the store', () => {
  const script = `
    const { SessionApiStore } = require('@session-api/express');
    new SessionApiStore().get('a'.repeat(32), (error, session) => {
      console.log(error, session);
      throw new Error('of the app');
    });`;
  const { stdout, stderr, status } = spawnSync(process.execPath, ['--eval', script], { cwd: __dirname, encoding: 'utf8' });
  assert.equal(stdout, 'null null\n', 'the callback is called once');
  assert.match(stderr, /of the app/);
  assert.equal(status, 1);
});
