'use strict';

const assert = require('node:assert/strict');
const { test } = require('node:test');
const { SessionApiStore } = require('../src/index.js');

test('invalid options are named', () => {
  for (const [options, message] of [
    [{ url: 'ftp://localhost' }, /option "url" or the variable SESSION_API_URL/],
    [{ url: 'https://key:secret@localhost' }, /option "url"/],
    [{ url: '' }, /option "url"/],
    [{ touch_after: 1 }, /Unknown option "touch_after". The options are: url, region, ttl, touchAfter/],
    [{ ttl: 0 }, /option "ttl" must be a number, 1 or more/],
    [{ lock: 11 }, /option "lock" must be a number, from 0 to 10/],
    [{ timeout: '5' }, /option "timeout" must be a number/],
    [{ retries: Number.NaN }, /option "retries"/],
  ]) {
    assert.throws(() => new SessionApiStore(options), { name: 'TypeError', message });
  }
});

test('the package is a module of both kinds', async () => {
  const module = await import('@session-api/express');
  assert.equal(module.SessionApiStore, SessionApiStore);
  assert.equal(require('@session-api/express').SessionApiStore, SessionApiStore);
});
