'use strict';

const { randomBytes, randomInt } = require('node:crypto');
const { setTimeout: sleep } = require('node:timers/promises');
const { Conflict, Locked, Unavailable } = require('./errors.js');
const { MAX_LABEL, MAX_LEASE } = require('./limits.js');
const { Signer } = require('./signer.js');
const { Transport } = require('./transport.js');

const RETRIED = [429, 500, 502, 503, 504];

/**
 * Calls of the session API, signed and retried.
 *
 * Each method that changes a session can be retried blindly: its retries carry the same `Idempotency-Key`, or have the
 * same effect by their nature. A session is `{ id, data, etag, ttl, user, lock }`, with `ttl` in seconds and the token of
 * its lock, if this client holds it.
 *
 * @throws {Unavailable} from every method
 */
class Client {
  #options;
  #signer;
  #transport;
  #basePath;

  constructor(options) {
    this.#options = options;
    this.#signer = new Signer(options);
    this.#transport = new Transport(options.url);
    this.#basePath = options.url.pathname.replace(/\/$/, '');
  }

  /** Reads a session. Returns null if there is none. */
  async read(id) {
    const response = await this.#call('GET', '/session', { 'session-id': id }, { accept: [200, 'session-not-found'] });
    return response.status === 200 ? session(id, response) : null;
  }

  /**
   * Takes the lock of a session, and reads it. This also slides its expiry. Returns null if there is none.
   *
   * @throws {Locked} if another request held the lock for that long
   */
  async lock(id, wait) {
    const response = await this.#call('POST', '/session/lock', {
      'session-id': id,
      'session-lease': String(MAX_LEASE),
      'session-wait': String(wait),
      'idempotency-key': key(),
    }, { accept: [200, 'session-not-found', 'session-locked'], wait });
    if (response.problem === 'session-locked') {
      throw new Locked(`Another request held the session's lock for ${wait} s`);
    }
    return response.status === 200 ? session(id, response, response.headers['session-lock']) : null;
  }

  /** Creates a session under an id. Returns null if there is one already. */
  async create(id, data, { ttl, user, label }) {
    const response = await this.#call('PUT', '/session', {
      'session-id': id,
      'session-ttl': String(ttl),
      'if-none-match': '*',
      'idempotency-key': key(),
      ...owner(user),
      ...labelled(label),
    }, { body: data, accept: [201, 'session-exists'] });
    return response.status === 201 ? written(id, data, response, { ttl, user }) : null;
  }

  /**
   * Replaces the data of a session that was read, and releases its lock if the client holds it. Returns null if the
   * session has ended.
   *
   * @throws {Conflict} if another request changed the data since
   * @throws {Locked} if another request has the lock
   */
  async replace(read, data, { ttl, user }) {
    const response = await this.#call('PUT', '/session', {
      'session-id': read.id,
      'session-ttl': String(ttl),
      'if-match': read.etag,
      'idempotency-key': key(),
      prefer: 'return=representation',
      ...owner(user),
      ...unlocking(read),
    }, { body: data, accept: [204, 'session-not-found', 'session-locked', 412] });
    refuseConflict(read, response);
    return response.status === 204 ? written(read.id, data, response, { ttl, user: user ?? read.user }) : null;
  }

  /**
   * Moves a session that was read to a new id, with new data, and releases its lock if the client holds it. The old id
   * stops working. Returns null if the session has ended.
   *
   * @throws {Locked} if another request has the lock
   */
  async rotate(read, newId, data, { ttl, user, label }) {
    const response = await this.#call('POST', '/session/rotate', {
      'session-id': read.id,
      'session-new-id': newId,
      'session-ttl': String(ttl),
      ...owner(user),
      ...labelled(label),
      ...unlocking(read),
    }, { body: data, accept: [200, 'session-not-found', 'session-locked', 412] });
    refuseConflict(read, response);
    return response.status === 200 ? written(newId, data, response, { ttl, user: user ?? read.user }) : null;
  }

  /** Slides the expiry of a session, and releases its lock if the client holds it. */
  async touch(read, ttl) {
    await this.#call('POST', '/session/touch', {
      'session-id': read.id,
      'session-ttl': String(ttl),
      'idempotency-key': key(),
      ...unlocking(read),
    }, { accept: [204, 'session-not-found', 'session-locked', 'not-lock-holder'] });
  }

  /** Releases the lock of a session. */
  async release(read) {
    const headers = { 'session-id': read.id, ...unlocking(read) };
    await this.#call('DELETE', '/session/lock', headers, { accept: [204, 'session-not-found', 'not-lock-holder'] });
  }

  /** Ends a session. */
  async destroy(id) {
    // An id in its grace period has no session of its own: its successor has.
    await this.#call('DELETE', '/session', { 'session-id': id }, { accept: [204, 'session-not-found'] });
  }

  /** Lists the sessions of a user, newest first. The one with this id is marked as the current one. */
  async sessions(user, id) {
    const response = await this.#call('GET', '/sessions', { ...owner(user), ...identified(id) }, { accept: [200] });
    return JSON.parse(response.body).map((entry) => ({ ...entry, label: entry.label && decode(entry.label) }));
  }

  /** Ends all sessions of a user except the one with this id. Returns how many there were. */
  async destroyAll(user, exceptId) {
    const headers = { ...owner(user), ...identified(exceptId) };
    return JSON.parse((await this.#call('DELETE', '/sessions', headers, { accept: [200] })).body).destroyed;
  }

  /**
   * Ends one session of a user, by its handle in the list. Returns whether it was there. If a retry does not find it, an
   * attempt whose response was lost has ended it.
   */
  async destroyByHandle(user, handle) {
    const path = `/sessions/${encodeURIComponent(handle)}`;
    const response = await this.#call('DELETE', path, owner(user), { accept: [204, 'session-not-found'] });
    return response.status === 204 || response.isToRetry;
  }

  /** Calls the API until it responds. Returns a response whose status or code of a problem is accepted. */
  async #call(method, path, headers, { body, accept, wait = 0 }) {
    const target = this.#basePath + path;
    const described = body === undefined ? headers : {
      ...headers,
      'content-type': this.#options.serializer === JSON ? 'application/json' : 'application/octet-stream',
      'content-length': String(Buffer.byteLength(body)),
    };
    for (let attempt = 0; ; attempt += 1) {
      const isLast = attempt >= this.#options.retries;
      const signed = await this.#signer.sign(method, target, described, body);
      let response;
      try {
        response = await this.#transport.send(method, target, signed, body, this.#options.timeout + wait);
      } catch (error) {
        if (isLast) {
          throw error;
        }
        await pause(attempt);
        continue;
      }
      response.problem = problem(response);
      response.isToRetry = attempt > 0;
      if (accept.includes(response.status) || accept.includes(response.problem)) {
        return response;
      }
      if (isLast || !RETRIED.includes(response.status)) {
        throw unexpected(method, path, response);
      }
      await pause(attempt);
    }
  }
}

/** Returns a fresh key for a request and its retries. */
function key() {
  return randomBytes(16).toString('hex');
}

/** Waits before a retry, with jitter: 50 to 100 ms, then twice as long each time. */
function pause(attempt) {
  return sleep(randomInt(50, 101) * 2 ** attempt);
}

/** Returns the session of a response that has its data. */
function session(id, { headers, body }, lock) {
  return {
    id,
    data: body.toString(),
    etag: headers.etag,
    ttl: Number(headers['session-ttl']),
    user: headers['session-user'] && decode(headers['session-user']),
    lock,
  };
}

/** Returns a session after a write. */
function written(id, data, { headers }, { ttl, user }) {
  if (headers.etag === undefined) {
    throw new Unavailable('A write of the session API returned no ETag');
  }
  return { id, data, etag: headers.etag, ttl, user: user === '' ? undefined : user };
}

function identified(id) {
  return id === undefined ? {} : { 'session-id': id };
}

function owner(user) {
  return user === undefined ? {} : { 'session-user': encode(user) };
}

function labelled(label) {
  const encoded = shorten(label ?? '');
  return encoded === '' ? {} : { 'session-label': encoded };
}

function unlocking({ lock }) {
  return lock === undefined ? {} : { 'session-unlock': lock };
}

/** Percent-encodes a name as all clients of the API do (RFC 3986). */
function encode(text) {
  const rest = /[!'()*]/g;
  return encodeURIComponent(text.toWellFormed())
    .replace(rest, (character) => `%${character.charCodeAt(0).toString(16).toUpperCase()}`);
}

/** Decodes a name. One that is not encoded, from another program, stays as it is. */
function decode(text) {
  try {
    return decodeURIComponent(text);
  } catch {
    return text;
  }
}

/** Percent-encodes a label, up to the last character that fits. */
function shorten(label) {
  let encoded = '';
  for (const character of String(label)) {
    const next = encoded + encode(character);
    if (next.length > MAX_LABEL) {
      break;
    }
    encoded = next;
  }
  return encoded;
}

/** Throws if a write was refused because of what another request did. */
function refuseConflict(read, response) {
  switch (response.problem) {
    case 'session-locked':
      throw new Locked('Another request holds the lock, and the session was not written');
    case 'not-lock-holder':
      throw new Locked('The lock expired meanwhile, and the session was not written');
    case 'session-exists':
      throw new Unavailable('The new id of the session is taken');
    default:
  }
  if (response.status === 412) {
    throw new Conflict(session(read.id, response, read.lock));
  }
}

/** Returns the code of a problem, as in `session-not-found`; undefined if another server than the API responded. */
function problem({ headers, body }) {
  return headers['content-type'] === 'application/problem+json'
    ? parse(body).type?.match(/^urn:session-api:(.*)$/)?.[1]
    : undefined;
}

/** Parses a JSON document. Returns an empty one if it is none: another server than the API responded. */
function parse(body) {
  try {
    return JSON.parse(body) ?? {};
  } catch {
    return {};
  }
}

function unexpected(method, path, { status, body }) {
  const { detail, message } = parse(body);
  const reason = detail ?? message ?? 'no reason';
  const route = path.replace(/^\/sessions\/.*/, '/sessions/{handle}');
  return new Unavailable(`The session API refused ${method} ${route} with status ${status}: ${reason}`);
}

module.exports = { Client };
