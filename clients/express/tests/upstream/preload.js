'use strict';

// Makes express-session's tests use our store instead of its MemoryStore. `run` loads this before the tests.
const Module = require('node:module');
const path = require('node:path');

const resolve = Module._resolveFilename;
// Our store must extend the Store of the package under test.
Module._resolveFilename = (request, ...rest) => (
  resolve(request === 'express-session' ? path.resolve('index.js') : request, ...rest)
);
const memory = path.resolve('session/memory.js');
require.cache[memory] = Object.assign(new Module(memory), {
  loaded: true,
  exports: function MemoryStore() {
    return new ListedStore();
  },
});
const { SessionApiStore } = require('../../src/index.js');

/** A store that remembers its ids. The tests count sessions, and the API can't without scanning its table. */
class ListedStore extends SessionApiStore {
  #ids = new Set();

  constructor() {
    super({ touchAfter: 0 });
  }

  set(sid, ...rest) {
    this.#ids.add(sid);
    return super.set(sid, ...rest);
  }

  async #list() {
    const sessions = await Promise.all([...this.#ids].map((sid) => this.get(sid)));
    return sessions.filter((session) => session !== null);
  }

  all(callback) {
    this.#list().then((sessions) => setImmediate(callback, null, sessions));
  }

  length(callback) {
    this.#list().then((sessions) => setImmediate(callback, null, sessions.length));
  }

  clear(callback) {
    Promise.all([...this.#ids].map((sid) => this.destroy(sid))).then(() => setImmediate(callback, null));
  }
}
