'use strict';

const assert = require('node:assert/strict');
const { readFileSync } = require('node:fs');
const path = require('node:path');
const { test } = require('node:test');
const { SessionApiStore } = require('../src/index.js');
const { readOptions } = require('../src/options.js');

test('invalid options are named', () => {
  for (const [options, message] of [
    [{ url: 'ftp://localhost' }, /option "url" or the variable SESSION_API_URL/],
    [{ url: 'https://key:secret@localhost' }, /option "url"/],
    [{ url: '' }, /option "url"/],
    [{ touch_after: 1 }, /Unknown option "touch_after". The options are: url, functionUrls, region, ttl, touchAfter/],
    [{ ttl: 0 }, /option "ttl" must be a whole number, from 1 to/],
    [{ ttl: 90.5 }, /option "ttl" must be a whole number/],
    [{ ttl: Infinity }, /option "ttl" must be a whole number/],
    [{ lock: 2.5 }, /option "lock" must be a whole number/],
    [{ touchAfter: Number.NaN }, /option "touchAfter" must be a number, 0 or more/],
    [{ timeout: '5' }, /option "timeout" must be a number/],
    [{ retries: Number.NaN }, /option "retries"/],
  ]) {
    assert.throws(() => new SessionApiStore({ url: 'http://localhost', ...options }), { name: 'TypeError', message });
  }
});

test('the environment sets the functions\' URLs, unless the variable is empty or the app sets the API\'s URL', () => {
  const urls = { read: 'http://localhost/r', write: 'http://localhost/w', destroy: 'http://localhost/d' };
  const value = Object.entries(urls).map((entry) => entry.join('=')).join();
  const { SESSION_API_URL, SESSION_API_FUNCTION_URLS } = process.env;
  try {
    process.env.SESSION_API_URL = 'http://localhost';
    for (const [variable, options, expected] of [[value, {}, urls], ['', {}, {}], [value, { url: 'http://localhost' }, {}]]) {
      process.env.SESSION_API_FUNCTION_URLS = variable;
      assert.deepEqual(JSON.parse(JSON.stringify(readOptions(options).functionUrls)), expected);
    }
  } finally {
    for (const [name, before] of Object.entries({ SESSION_API_URL, SESSION_API_FUNCTION_URLS })) {
      delete process.env[name];
      Object.assign(process.env, before === undefined ? {} : { [name]: before });
    }
  }
});

test('the types only need declared packages', () => {
  const { dependencies, peerDependencies } = require('../package.json');
  const types = readFileSync(path.join(__dirname, '../src/index.d.ts'), 'utf8');
  for (const [, name] of types.matchAll(/from '([^']+)'/g)) {
    // Node's types come with those of express-session.
    const needed = name.startsWith('node:') ? 'express-session' : name;
    for (const declared of [needed, `@types/${needed}`]) {
      assert(declared in { ...dependencies, ...peerDependencies }, `${name} needs ${declared}`);
    }
  }
});

test('the package works with import and with require', async () => {
  const module = await import('@session-api/express');
  assert.equal(module.SessionApiStore, SessionApiStore);
  assert.equal(require('@session-api/express').SessionApiStore, SessionApiStore);
});
