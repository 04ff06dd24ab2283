'use strict';

const { randomBytes, randomInt } = require('node:crypto');
const { setTimeout } = require('node:timers/promises');
const { Conflict, Locked, Unavailable } = require('./errors.js');
const { Signer } = require('./signer.js');
const { Transport } = require('./transport.js');

const RETRIED = [429, 500, 502, 503, 504];
/** Longest label, percent-encoded. */
const MAX_LABEL = 256;
/** Longest Retry-After to wait for, in seconds. */
const MAX_RETRY_AFTER = 10;

/**
 * Calls the session API: signs requests and retries them.
 *
 * A retry never takes effect twice: it carries the same `Idempotency-Key`, or the call is idempotent by nature.
 *
 * A session is `{ id, data, etag, ttl, user, lock }`: `ttl` is in seconds, and `lock` is the token if this client holds
 * the lock.
 *
 * @throws {Unavailable} from every method
 */
class Client {
  #options;
  #signer;
  /** One transport per URL, each with its own connections. */
  #transports;
  #sleep;

  constructor(options, { connect = (url) => new Transport(url), sleep = setTimeout } = {}) {
    this.#options = options;
    this.#signer = new Signer(options);
    const urls = [options.url, ...Object.values(options.functionUrls)];
    this.#transports = new Map(urls.map((url) => [url, connect(url)]));
    this.#sleep = sleep;
  }

  /** Reads a session. Returns null if there is none. */
  async read(id) {
    const response = await this.#call('GET', '/session', { 'session-id': id }, { accept: [200, 'session-not-found'] });
    return response.status === 200 ? session(id, response) : null;
  }

  /**
   * Locks a session and reads it. This also slides its expiry. Returns null if there is none.
   *
   * @throws {Locked} if another request held the lock the whole time
   */
  async lock(id, wait, lease) {
    const response = await this.#call('POST', '/session/lock', {
      'session-id': id,
      'session-lease': String(lease),
      'session-wait': String(wait),
      'idempotency-key': key(),
    }, { accept: [200, 'session-not-found', 'session-locked'], wait });
    if (response.problem === 'session-locked') {
      throw new Locked(`Another request held the session's lock for ${wait} s`);
    }
    if (response.status !== 200) {
      return null;
    }
    const lock = response.headers['session-lock'];
    if (lock === undefined) {
      throw unexpected(response);
    }
    return session(id, response, lock);
  }

  /** Creates a session with this id. Returns null if the id is taken. */
  async create(id, data, { ttl, user, label }) {
    const response = await this.#call('PUT', '/session', {
      'session-id': id,
      'session-ttl': String(ttl),
      'if-none-match': '*',
      'session-user': owner(user),
      'session-label': labeled(label),
      'idempotency-key': key(),
    }, { body: data, accept: [201, 'session-exists'] });
    return response.status === 201 ? written(id, data, response, { ttl, user }) : null;
  }

  /**
   * Replaces the data of a session that was read, and releases its lock if this client holds it. Returns null if the
   * session has ended.
   *
   * @throws {Conflict} if another request has changed the session since it was read
   * @throws {Locked} if another request holds the lock, or this one has lost it
   */
  replace(read, data, { ttl, user }) {
    return this.#write('PUT', '/session', 204, read, read.id, data, { ttl, user }, { 'idempotency-key': key() });
  }

  /** Like `replace`, but also moves the session to a new id. The old id stops working. */
  rotate(read, newId, data, { ttl, user, label }) {
    const headers = { 'session-new-id': newId, 'session-label': labeled(label) };
    return this.#write('POST', '/session/rotate', 200, read, newId, data, { ttl, user }, headers);
  }

  async #write(method, path, success, read, id, data, { ttl, user }, headers) {
    const response = await this.#call(method, path, {
      'session-id': read.id,
      'session-ttl': String(ttl),
      'session-user': owner(user),
      'session-unlock': read.lock,
      'if-match': read.etag,
      prefer: 'return=representation',
      ...headers,
    }, { body: data, accept: [success, 'session-not-found', 'session-locked', 'not-lock-holder', 'changed'] });
    switch (response.problem) {
      case 'session-not-found':
        return null;
      case 'session-locked':
        throw new Locked('Another request holds the lock, so the session was not written');
      case 'not-lock-holder':
        throw new Locked('The lock has expired, so the session was not written');
      case 'changed':
        throw new Conflict(session(read.id, response, read.lock));
      default:
        return written(id, data, response, { ttl, user: user ?? read.user });
    }
  }

  /**
   * Slides a session's expiry, and releases its lock if this client holds it. Returns the seconds until it expires,
   * which the API may have cut, or null if the session has ended.
   */
  async touch(read, ttl) {
    const response = await this.#call('POST', '/session/touch', {
      'session-id': read.id,
      'session-ttl': String(ttl),
      'session-unlock': read.lock,
      'idempotency-key': key(),
    }, { accept: [204, 'session-not-found', 'session-locked', 'not-lock-holder'] });
    if (response.problem === 'session-not-found') {
      return null;
    }
    return response.status === 204 ? lifetime(response) ?? ttl : read.ttl;
  }

  /** Releases a session's lock. */
  async release(read) {
    const headers = { 'session-id': read.id, 'session-unlock': read.lock };
    await this.#call('DELETE', '/session/lock', headers, { accept: [204, 'session-not-found', 'not-lock-holder'] });
  }

  /** Ends a session. */
  async destroy(id) {
    // The old id of a rotation isn't found, even while it's readable: the session has moved.
    await this.#call('DELETE', '/session', { 'session-id': id }, { accept: [204, 'session-not-found'] });
  }

  /** Lists a user's sessions, newest first. The one with this id is marked as current. */
  async sessions(user, id) {
    const headers = { 'session-user': owner(user), 'session-id': id };
    const response = await this.#call('GET', '/sessions', headers, { accept: [200] });
    const list = parse(response.body);
    if (!Array.isArray(list)) {
      throw unexpected(response);
    }
    return list.map((entry) => ({ ...entry, label: entry.label && decode(entry.label) }));
  }

  /** Ends all of a user's sessions except the one with this id. Returns how many it ended. */
  destroyAll(user, exceptId) {
    return this.#destroySessions({ 'session-user': owner(user), 'session-id': exceptId });
  }

  /** Ends a user's oldest sessions if they have more than this many. Returns how many it ended. */
  limit(user, limit) {
    return this.#destroySessions({ 'session-user': owner(user), 'session-limit': String(limit) });
  }

  async #destroySessions(headers) {
    const response = await this.#call('DELETE', '/sessions', headers, { accept: [200] });
    const { destroyed } = parse(response.body);
    if (destroyed === undefined) {
      throw unexpected(response);
    }
    return destroyed;
  }

  /**
   * Ends one of a user's sessions by its handle. Returns whether there was one. If a retry doesn't find it, an earlier
   * attempt whose response was lost has ended it.
   */
  async destroyByHandle(user, handle) {
    const path = `/sessions/${encodeURIComponent(handle)}`;
    const headers = { 'session-user': owner(user) };
    const response = await this.#call('DELETE', path, headers, { accept: [204, 'session-not-found'] });
    return response.status === 204 || response.isRetry;
  }

  /** Calls the API, with retries, and returns the first response that is accepted. Undefined headers are left out. */
  async #call(method, path, headers, { body, accept, wait = 0 }) {
    const { functionUrls, retries, serializer, timeout } = this.#options;
    const url = functionUrls[servedBy(method, path)] ?? this.#options.url;
    const target = url.pathname.replace(/\/$/, '') + path;
    const described = Object.fromEntries(Object.entries(headers).filter(([, value]) => value !== undefined));
    if (body !== undefined) {
      described['content-type'] = serializer === JSON ? 'application/json' : 'application/octet-stream';
      described['content-length'] = String(Buffer.byteLength(body));
    }
    let attempt = 0;
    for (let isRetry = false; ; isRetry = true) {
      const isLast = attempt >= retries;
      let response;
      try {
        const signed = await this.#signer.sign(url, method, target, described, body);
        response = await this.#transports.get(url).send(method, target, signed, body, timeout + wait);
      } catch (error) {
        // A kept connection that died says nothing about the API, so it doesn't count as an attempt.
        if (isRetry || !error.wasKept) {
          if (isLast) {
            throw error;
          }
          await this.#sleep(pause(attempt));
          attempt += 1;
        }
        continue;
      }
      response.route = `${method} ${path.replace(/^\/sessions\/.*/, '/sessions/{handle}')}`;
      response.problem = problem(response);
      response.isRetry = isRetry;
      if (accept.includes(response.status) || accept.includes(response.problem)) {
        return response;
      }
      if (response.status === 403 && !isRetry && this.#signer.renew()) {
        continue;
      }
      if (isLast || !RETRIED.includes(response.status)) {
        throw unexpected(response);
      }
      await this.#sleep(retryAfter(response) ?? pause(attempt));
      attempt += 1;
    }
  }
}

/** Returns the function whose URL can serve a call, or undefined if only the API serves it. */
function servedBy(method, path) {
  if (path.startsWith('/sessions')) {
    return undefined;
  }
  if (['GET', 'HEAD'].includes(method)) {
    return 'read';
  }
  return method === 'DELETE' && path === '/session' ? 'destroy' : 'write';
}

/** Returns a fresh key for a request and its retries. */
function key() {
  return randomBytes(16).toString('hex');
}

/** Returns the milliseconds to wait before a retry, with jitter: 50 to 150 at first, then twice as long each time. */
function pause(attempt) {
  return randomInt(50, 151) * 2 ** attempt;
}

/** Returns the milliseconds that a response says to wait, if any. */
function retryAfter({ headers }) {
  const seconds = headers['retry-after'];
  return /^\d+$/.test(seconds) ? Math.min(seconds, MAX_RETRY_AFTER) * 1000 : undefined;
}

/** Returns the seconds until a session expires, if a response has them. */
function lifetime({ headers }) {
  const ttl = headers['session-ttl'];
  return /^\d+$/.test(ttl) ? Number(ttl) : undefined;
}

/** Returns the session in a response. */
function session(id, response, lock) {
  const { headers, body } = response;
  const ttl = lifetime(response);
  if (headers.etag === undefined || ttl === undefined) {
    throw unexpected(response);
  }
  const user = headers['session-user'];
  return { id, data: body.toString(), etag: headers.etag, ttl, user: user && decode(user), lock };
}

/** Returns the session as a write left it. */
function written(id, data, response, { ttl, user }) {
  const { etag } = response.headers;
  if (etag === undefined) {
    throw unexpected(response);
  }
  return { id, data, etag, ttl: lifetime(response) ?? ttl, user: user === '' ? undefined : user };
}

// `""` removes an owner or a label. Not just an empty header, because gateways may drop those.
function owner(user) {
  return user === undefined ? undefined : encode(user) || '""';
}

function labeled(label) {
  return label === undefined ? undefined : shorten(label) || '""';
}

/** Percent-encodes a name the way all clients do (RFC 3986). */
function encode(text) {
  const rest = /[!'()*]/g;
  return encodeURIComponent(text.toWellFormed())
    .replace(rest, (character) => `%${character.charCodeAt(0).toString(16).toUpperCase()}`);
}

/** Decodes an owner or a label. If another program didn't encode it, it's returned as is. */
function decode(text) {
  try {
    return decodeURIComponent(text);
  } catch {
    return text;
  }
}

/** Percent-encodes as much of a label as fits. */
function shorten(label) {
  let encoded = '';
  for (const character of label) {
    const next = encoded + encode(character);
    if (next.length > MAX_LABEL) {
      break;
    }
    encoded = next;
  }
  return encoded;
}

/**
 * Returns the API's problem code, such as `session-not-found`, or `changed` if the response has the session as another
 * request left it. Session data may look like a problem, but it doesn't have a problem's media type.
 */
function problem({ status, headers, body }) {
  if (status >= 400 && headers['content-type'] === 'application/problem+json') {
    return parse(body).type?.match(/^urn:session-api:(.*)$/)?.[1];
  }
  return status === 412 && headers.etag !== undefined ? 'changed' : undefined;
}

/** Parses a JSON document. Returns an empty object if it isn't JSON, which means that something other than the API responded. */
function parse(body) {
  try {
    return JSON.parse(body) ?? {};
  } catch {
    return {};
  }
}

function unexpected({ route, status, body }) {
  // Lambda itself says `Message`.
  const { detail, message, Message } = parse(body);
  const reason = detail ?? message ?? Message ?? 'no reason given';
  return new Unavailable(`The session API refused ${route} with status ${status}: ${reason}`);
}

module.exports = { Client };
