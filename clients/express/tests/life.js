'use strict';

// Takes a session through its life with this client, to test a deployed API. Prints `lived` at the end.
const assert = require('node:assert/strict');
const { randomBytes } = require('node:crypto');
const { SessionApiStore } = require('../src/index.js');

async function live() {
  const user = `life of ${randomBytes(6).toString('hex')} ü!'()*`;
  const store = new SessionApiStore({ user: () => user, label: 'Express & life', touchAfter: 0, retries: 0 });
  let sid;
  store.generate = (request) => {
    sid = randomBytes(24).toString('base64url');
    request.sessionID = sid;
    request.session = { cookie: {} };
  };
  const request = {};
  store.generate(request);
  await store.set(sid, { cookie: {}, text: 'grüße' });
  request.session = store.createSession(request, await store.get(sid));
  assert.equal(request.session.text, 'grüße');
  request.session.n = 1;
  await store.set(sid, request.session);
  await store.touch(sid, request.session);
  const oldSid = sid;
  await new Promise((resolve) => { store.regenerate(request, resolve); });
  await store.set(sid, request.session);
  assert.equal(await store.get(oldSid), null);
  const [device] = await store.devices(user, sid);
  assert(device.current && device.label === 'Express & life');
  assert(await store.logoutDevice(user, device.handle));
  assert.equal(await store.logoutEverywhere(user), 0);
  await store.destroy(sid);
  assert.equal(await store.get(sid), null);
  process.stdout.write('lived');
}

live();
