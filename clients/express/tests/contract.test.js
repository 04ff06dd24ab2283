'use strict';

// Plays tests/conformance/contract.json, the wire protocol of all clients, without a server.
const assert = require('node:assert/strict');
const { test } = require('node:test');
const { Client } = require('../src/client.js');
const { Conflict, Locked, Unavailable } = require('../src/errors.js');
const { readOptions } = require('../src/options.js');
const contract = require('../../../tests/conformance/contract.json');

/** Outcomes of calls as the contract describes them. */
const session = (found) => (found === null ? { is: 'absent' } : { is: 'session', ...found });
const written = (found) => (found === null ? { is: 'absent' } : { is: 'written', ...found });
const done = () => ({ is: 'done' });
const destroyed = (count) => ({ is: 'destroyed', count });

const CALLS = {
  read: (client, { id }) => client.read(id).then(session),
  lock: (client, { id, wait, lease }) => client.lock(id, wait, lease).then(session),
  create: (client, { id, data, ...set }) => client.create(id, data, set)
    .then((created) => (created === null ? { is: 'taken' } : written(created))),
  replace: (client, { data, ttl, user, ...read }) => client.replace(known(read), data, { ttl, user }).then(written),
  rotate: (client, { new_id: newId, data, ttl, user, label, ...read }) => client
    .rotate(known(read), newId, data, { ttl, user, label }).then(written),
  touch: (client, { ttl, ...read }) => client.touch(known(read), ttl)
    .then((granted) => (granted === null ? { is: 'absent' } : { is: 'done', ttl: granted })),
  release: (client, read) => client.release(known(read)).then(done),
  destroy: (client, { id }) => client.destroy(id).then(done),
  sessions: (client, { user, id }) => client.sessions(user, id).then((sessions) => ({ is: 'list', sessions })),
  'destroy-all': (client, { user, id }) => client.destroyAll(user, id).then(destroyed),
  limit: (client, { user, limit }) => client.limit(user, limit).then(destroyed),
  'destroy-by-handle': (client, { user, handle }) => client.destroyByHandle(user, handle)
    .then((value) => ({ is: 'found', value })),
};

const API = 'http://localhost';

function known({ owner, ...read }) {
  return { ...read, user: owner };
}

/** Makes a call whose attempts get their responses from `respond`. Returns `{ attempts, pauses, outcome }`. */
async function play({ call, with: parameters }, respond, options = {}) {
  const [attempts, pauses] = [[], []];
  const connect = ({ origin }) => ({
    send: async (method, path, headers, body = '') => {
      attempts.push({ method, url: origin + path, headers, body });
      return respond(attempts.length);
    },
  });
  const sleep = async (milliseconds) => { pauses.push(milliseconds / 1000); };
  const client = new Client(readOptions({ url: API, retries: 1, ...options }), { connect, sleep });
  const outcome = await CALLS[call](client, parameters).catch((error) => {
    assert(error instanceof Unavailable, error);
    if (error instanceof Conflict) {
      return { is: 'changed', ...error.current };
    }
    return { is: error instanceof Locked ? 'locked' : attempts.length === 1 ? 'refused' : 'unavailable', error };
  });
  return { attempts, pauses, outcome };
}

function noResponse() {
  throw new Unavailable('no response');
}

const isPlayed = ({ call }) => !['exists', 'destroy-unchanged', 'rotate-locked'].includes(call);

test('options have the limits of the contract', () => {
  const names = { lock: 'lock', lease: 'lease', max_sessions: 'maxSessions' };
  for (const { option, min, max } of contract.limits.filter(({ option }) => option in names)) {
    const read = (value) => readOptions({ url: API, [names[option]]: value });
    [min, max].forEach(read);
    for (const value of [min - 1, max + 1]) {
      assert.throws(() => read(value), { message: `The option "${names[option]}" must be a whole number, from ${min} to ${max}.` });
    }
  }
});

for (const row of contract.requests.filter(isPlayed)) {
  test(`request: ${row.name}`, async () => {
    const { attempts: [attempt, retry] } = await play(row, noResponse);
    const { method, url, headers, body } = attempt;
    assert.deepEqual({ method, url, body }, { method: row.method, url: API + row.path, body: row.body });
    for (const [name, value] of Object.entries(row.headers)) {
      assert.equal(headers[name], value, name);
    }
    for (const name of row.present ?? []) {
      assert(headers[name], name);
    }
    for (const name of row.absent ?? []) {
      assert.equal(headers[name], undefined, name);
    }
    assert.match(headers['idempotency-key'] ?? 'x'.repeat(16), /^[\w,-]{16,128}$/);
    assert.deepEqual(retry, attempt, 'a retry is the same request');
  });
}

const credentials = { accessKeyId: 'AKIAEXAMPLE', secretAccessKey: 'secret' };
const functions = Object.keys(contract.functions);

for (const functionUrls of contract.function_urls.valid) {
  test(`calls go to ${functionUrls}`, async () => {
    const urls = Object.fromEntries(functionUrls.split(',').map((entry) => entry.split('=')));
    for (const row of contract.requests.filter(isPlayed)) {
      const { attempts: [attempt] } = await play(row, noResponse, { functionUrls, credentials });
      const name = functions.find((name) => contract.functions[name].includes(`${row.method} ${row.path}`));
      assert.equal(attempt.url, (urls[name] ?? API).replace(/\/$/, '') + row.path);
      assert.equal(attempt.headers.host, new URL(attempt.url).host);
    }
  });
}

for (const functionUrls of contract.function_urls.invalid) {
  test(`function URLs are refused: ${functionUrls}`, () => {
    const message = /option "functionUrls" or the variable SESSION_API_FUNCTION_URLS .* output FunctionUrls/;
    assert.throws(() => readOptions({ url: API, functionUrls }), { name: 'TypeError', message });
  });
}

for (const { url, is_of_function: isOfFunction, service, region } of contract.signed_for) {
  test(`calls to ${url} are signed for ${service} in ${region}`, async () => {
    const options = isOfFunction ? { functionUrls: functions.map((name) => `${name}=${url}`).join() } : { url };
    const row = contract.requests.find(({ call }) => call === 'read');
    const { attempts: [attempt] } = await play(row, noResponse, { ...options, region: 'eu-west-3', credentials });
    assert.match(attempt.headers.Authorization, new RegExp(`/${region}/${service}/aws4_request`));
  });
}

for (const row of contract.responses.filter(isPlayed)) {
  test(`response: ${row.name} (${row.call})`, async () => {
    const { attempts, pauses, outcome } = await play(row, (attempt) => {
      if (row.retry && attempt === 1) {
        noResponse();
      }
      return { status: row.status, headers: row.headers, body: Buffer.from(row.body) };
    });
    const { retry_after: retryAfter, status, reason, ...expected } = row.outcome;
    for (const [key, value] of Object.entries(expected)) {
      assert.deepEqual(outcome[key] ?? null, value, outcome.error?.message ?? key);
    }
    assert.equal(attempts.length, row.retry || expected.is === 'unavailable' ? 2 : 1);
    if (expected.is === 'unavailable') {
      const { min, max } = contract.back_off;
      assert.deepEqual(pauses.map((seconds) => (seconds >= min && seconds <= max ? null : seconds)), [retryAfter]);
    }
    assert(outcome.error === undefined || outcome.error.message.includes(`${status ?? ''}`), outcome.error);
    assert(outcome.error === undefined || outcome.error.message.includes(reason ?? ''), outcome.error);
  });
}
