'use strict';

const { Store } = require('express-session');
const { Client } = require('./client.js');
const { Conflict, Unavailable } = require('./errors.js');
const { merge } = require('./merge.js');
const { readOptions } = require('./options.js');

/** Number of other requests whose changes one write merges with its own. */
const MAX_MERGES = 10;
/** Number of sessions that are waiting for their first write under a new id, at most. */
const MAX_MOVES = 10_000;

/**
 * Store of express-session that keeps sessions in the session API.
 *
 * What the API knows of a session (`Client` says what) belongs to the session object of one request, so parallel
 * requests do not take each other's state for their own.
 */
class SessionApiStore extends Store {
  #options;
  #client;
  /** What each session object was read as, and `base`: its data then, which merges compare with. */
  #stored = new WeakMap();
  /** New ids of sessions that `regenerate` moves, and the sessions under their old ids. */
  #moves = new Map();

  constructor(options = {}) {
    super();
    this.#options = readOptions(options);
    this.#client = new Client(this.#options);
  }

  /** Reads a session, and takes its lock if the options say so. Gives null if there is none. */
  get(sid, callback) {
    return settle(this.#get(sid), callback);
  }

  async #get(sid) {
    if (!isId(sid)) {
      return null;
    }
    const { lock } = this.#options;
    return this.#use(lock === null ? await this.#client.read(sid) : await this.#client.lock(sid, lock));
  }

  /** Returns the data of a session that was read, and remembers what it was read as. */
  #use(stored) {
    if (stored === null) {
      return null;
    }
    const data = this.#options.serializer.parse(stored.data);
    // Another framework may have made the session.
    data.cookie ??= {};
    if (data.cookie?.expires) {
      // A touch slides the expiry without writing the data.
      data.cookie.expires = new Date(Date.now() + stored.ttl * 1000).toISOString();
    }
    this.#stored.set(data, { ...stored, base: stored.data });
    return data;
  }

  /** Makes the session object of a request from data that was read. */
  createSession(request, data) {
    const session = super.createSession(request, data);
    const stored = this.#stored.get(data);
    this.#stored.set(session, stored);
    if (stored?.lock !== undefined) {
      // To read the session again, it must not wait for its own lock.
      Object.defineProperty(session, 'reload', {
        configurable: true,
        writable: true,
        value: (callback) => settle(this.#reload(request, stored), callback),
      });
    }
    return session;
  }

  async #reload(request, stored) {
    const current = await this.#client.read(stored.id);
    if (current === null) {
      throw new Error('failed to load session');
    }
    this.createSession(request, this.#use({ ...current, lock: stored.lock }));
  }

  /** Writes a session if it has changed, slides its expiry if it is time, and releases its lock. */
  set(sid, session, callback) {
    return settle(this.#set(sid, session), callback);
  }

  async #set(sid, session) {
    if (!isId(sid)) {
      throw new TypeError('The session API takes ids of 22 to 128 characters of A-Z, a-z, 0-9, "_", "," and "-".'
        + ' Change the option "genid" of express-session.');
    }
    const ttl = this.#ttl(session);
    if (ttl <= 0) {
      await this.#destroy(sid);
      return;
    }
    const request = session.req;
    const user = this.#options.user(session) ?? undefined;
    const label = this.#options.label(request);
    const data = this.#options.serializer.stringify(session);
    const attributes = { ttl, user, label };
    const moved = this.#moves.get(sid);
    const stored = this.#stored.get(session);
    if (moved !== undefined) {
      // The new session has only what was put into it since, so it begins even if the old one has ended meanwhile.
      // Without a `Session-User`, a rotation would keep the old session's owner.
      const owned = { ...attributes, user: user ?? '' };
      const rotated = await this.#client.rotate(moved, sid, data, owned);
      this.#remember(session, rotated ?? await this.#create(sid, data, owned), data);
      // Not before: after a failure, the next write is to end the old session, too.
      this.#moves.delete(sid);
    } else if (stored?.id !== sid) {
      this.#remember(session, await this.#create(sid, data, attributes), data);
    } else if (stored.hasEnded) {
      // A write does not bring an ended session back.
    } else if ((user === undefined || user === stored.user) && this.#isSame(data, stored.base)) {
      await this.#keepAlive(session, stored, ttl);
    } else {
      const replaced = await this.#replace(stored, data, attributes);
      this.#remember(session, replaced ?? { id: sid, hasEnded: true }, data);
    }
  }

  /** Creates a session. Replaces one that has the id already: the app has chosen it. */
  async #create(sid, data, attributes) {
    const created = await this.#client.create(sid, data, attributes);
    if (created !== null) {
      return created;
    }
    const replaced = await this.#client.replace({ id: sid, etag: '*' }, data, attributes);
    return replaced ?? this.#create(sid, data, attributes);
  }

  /** Replaces data, merged with what other requests wrote since it was read. Returns null if the session has ended. */
  async #replace(stored, data, attributes) {
    const { parse, stringify } = this.#options.serializer;
    let current = stored;
    for (let merges = 0; merges < MAX_MERGES; merges += 1) {
      const merged = current.data === stored.base
        ? data
        : stringify(merge(parse(stored.base), parse(data), parse(current.data)));
      try {
        return await this.#client.replace(current, merged, attributes);
      } catch (error) {
        if (!(error instanceof Conflict)) {
          throw error;
        }
        current = error.current;
      }
    }
    throw new Unavailable('Other requests kept changing the session');
  }

  #remember(session, stored, base) {
    this.#stored.set(session, { ...stored, base });
  }

  /** Whether two states of a session differ in nothing but the expiry of the cookie. */
  #isSame(data, base) {
    const { parse, stringify } = this.#options.serializer;
    const withoutExpiry = (text) => {
      const { cookie, ...rest } = parse(text);
      return stringify({ ...rest, cookie: { ...cookie, expires: null } });
    };
    return data === base || withoutExpiry(data) === withoutExpiry(base);
  }

  /** Slides the expiry of a session if enough time has passed, and releases its lock. */
  touch(sid, session, callback) {
    return settle(this.#touch(sid, session), callback);
  }

  async #touch(sid, session) {
    const stored = this.#stored.get(session);
    if (isId(sid) && !stored?.hasEnded) {
      await this.#keepAlive(session, stored ?? { id: sid, ttl: 0 }, this.#ttl(session));
    }
  }

  async #keepAlive(session, stored, ttl) {
    const { touchAfter, disableTouch } = this.#options;
    const isDue = ttl - stored.ttl >= (touchAfter ?? ttl / 20) && !disableTouch;
    if (isDue) {
      await this.#client.touch(stored, ttl);
    } else if (stored.lock !== undefined) {
      await this.#client.release(stored);
    }
    this.#stored.set(session, { ...stored, lock: undefined, ttl: isDue ? ttl : stored.ttl });
  }

  /** Ends a session. */
  destroy(sid, callback) {
    return settle(this.#destroy(sid), callback);
  }

  async #destroy(sid) {
    const moved = this.#moves.get(sid);
    this.#moves.delete(sid);
    const id = moved?.id ?? sid;
    if (isId(id)) {
      await this.#client.destroy(id);
    }
  }

  /**
   * Begins a new session under a new id in place of the one of a request. Its first write, which express-session makes
   * at the end of the request, ends the old one in the same call.
   */
  regenerate(request, callback) {
    const old = this.#moves.get(request.sessionID) ?? this.#stored.get(request.session);
    this.#moves.delete(request.sessionID);
    this.generate(request);
    if (old !== undefined && !old.hasEnded) {
      this.#moves.set(request.sessionID, old);
      if (this.#moves.size > MAX_MOVES) {
        // Requests that died before the end of their response have left entries.
        this.#moves.delete(this.#moves.keys().next().value);
      }
    }
    setImmediate(callback);
  }

  /**
   * Lists the sessions of a user, newest first: `handle`, `label`, `created`, `used`, `expires`, and `current` for the
   * one with this id.
   */
  devices(user, sid) {
    return this.#client.sessions(user, sid);
  }

  /** Ends one session of a user, by its handle. Returns whether it was there. */
  logoutDevice(user, handle) {
    return this.#client.destroyByHandle(user, handle);
  }

  /** Ends all sessions of a user except the one with this id. Returns how many there were. */
  logoutOtherDevices(user, sid) {
    return this.#client.destroyAll(user, sid);
  }

  /** Ends all sessions of a user. Returns how many there were. */
  logoutEverywhere(user) {
    return this.#client.destroyAll(user);
  }

  /** Returns the lifetime of a session in seconds: the cookie's if it has one, else that of the options. */
  #ttl(session) {
    const { ttl } = this.#options;
    if (typeof ttl === 'function') {
      return Math.ceil(ttl(session));
    }
    const { cookie } = session;
    const maxAge = cookie?.originalMaxAge ?? (cookie?.expires ? new Date(cookie.expires) - Date.now() : NaN);
    return Number.isFinite(maxAge) ? Math.ceil(maxAge / 1000) : ttl;
  }
}

/** Whether the API accepts this id. Any other cookie counts as no session. */
function isId(sid) {
  return /^[A-Za-z0-9_,-]{22,128}$/.test(sid);
}

/** Gives the outcome of a promise to a callback, outside of the promise: an exception in the callback is its own. */
function settle(promise, callback) {
  if (callback === undefined) {
    return promise;
  }
  promise.then(
    (value) => setImmediate(callback, null, value),
    (error) => setImmediate(callback, error),
  );
  return undefined;
}

module.exports = { SessionApiStore };
