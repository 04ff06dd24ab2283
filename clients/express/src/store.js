'use strict';

const { randomInt } = require('node:crypto');
const { setTimeout: sleep } = require('node:timers/promises');
const { isDeepStrictEqual } = require('node:util');
const { Store } = require('express-session');
const { Client } = require('./client.js');
const { Conflict, Locked, Unavailable } = require('./errors.js');
const { merge } = require('./merge.js');
const { lifetime, ownerName, readOptions } = require('./options.js');

/** Milliseconds after which a write gives up merging with the changes of other requests. */
const MAX_MERGING = 10_000;
/** Most sessions that a store remembers something about. */
const MAX_REMEMBERED = 10_000;

/**
 * express-session store that keeps sessions in the session API.
 *
 * What the store knows about a session is tied to the session object of one request, so that parallel requests don't
 * mix up their states.
 */
class SessionApiStore extends Store {
  #options;
  #client;
  /**
   * For each session object, its session in the API (see `Client`), plus `base` (the data to compare with in a merge),
   * `hidden` (keys that a session object can't have), `isInUse` (whether a request uses it), and `hasEnded`.
   */
  #stored = new WeakMap();
  /** The last write of each session object. */
  #turns = new WeakMap();
  /** For each id, the first write under it until it's done. */
  #beginnings = new Map();
  /** For each new id from `regenerate`, the session that it replaces. */
  #moves = new Map();
  /** Lifetimes that the API has cut. */
  #granted = new Map();

  constructor(options = {}) {
    super();
    this.#options = readOptions(options);
    this.#client = new Client(this.#options);
  }

  /** Reads a session, locking it if the options say so. Returns null if there is none. */
  get(sid, callback) {
    if (callback === undefined) {
      return settle(this.#get(sid));
    }
    return settle(this.#get(sid, this.#options.lock !== null), (error, data) => {
      try {
        callback(error, data);
      } finally {
        const stored = this.#stored.get(data);
        if (!stored?.isInUse) {
          this.#release(stored?.session ?? data);
        }
      }
    });
  }

  async #get(sid, isLocked) {
    if (!isId(sid)) {
      return null;
    }
    await this.#beginnings.get(sid);
    const stored = isLocked ? await this.#lock(sid) : await this.#client.read(sid);
    try {
      return this.#use(stored);
    } catch (error) {
      if (isLocked) {
        await this.#client.release(stored).catch(() => undefined);
      }
      throw error;
    }
  }

  #lock(sid) {
    return this.#client.lock(sid, this.#options.lock, this.#options.lease);
  }

  /** Releases a session's lock in the background. If that fails, the lock expires by itself. */
  #release(session) {
    const stored = this.#stored.get(session);
    if (stored?.lock !== undefined) {
      this.#inTurn(session, async () => {
        const { id, lock } = stored;
        stored.lock = undefined;
        if (lock !== undefined) {
          await this.#client.release({ id, lock });
        }
      }).catch(() => undefined);
    }
  }

  /** Remembers a session that was read, and returns its data. */
  #use(stored) {
    if (stored === null) {
      return null;
    }
    const data = this.#parse(stored.data);
    let hidden;
    if (data.cookie === null || typeof data.cookie !== 'object') {
      // Another framework created the session.
      hidden = Object.hasOwn(data, 'cookie') ? { cookie: data.cookie } : undefined;
      data.cookie = {};
    }
    if (data.cookie.expires) {
      // A touch extends a session without writing its data, so the stored date may be too early.
      data.cookie.expires = new Date(Date.now() + stored.ttl * 1000).toISOString();
    }
    this.#stored.set(data, { ...stored, base: stored.data, hidden });
    return data;
  }

  #parse(text) {
    let data;
    let cause;
    try {
      data = this.#options.serializer.parse(text);
    } catch (error) {
      cause = error;
    }
    if (data === null || typeof data !== 'object' || Array.isArray(data)) {
      throw new Unavailable('The data of the session is not that of an Express session', { cause });
    }
    return data;
  }

  /** Makes a request's session object from data that was read. */
  createSession(request, data) {
    const session = super.createSession(request, data);
    const stored = this.#stored.get(data);
    if (stored === undefined) {
      return session;
    }
    this.#stored.set(session, stored);
    stored.session = session;
    const hidden = Object.entries(data).filter(([key]) => !Object.prototype.propertyIsEnumerable.call(session, key));
    if (hidden.length > 0) {
      stored.hidden = { ...stored.hidden, ...Object.fromEntries(hidden) };
    }
    // Requests of WebSockets, socket.io (which sets `_query`) and `load()` never end, so they must not hold the lock.
    stored.isInUse = request.headers !== undefined && !request.upgrade && request._query?.EIO === undefined;
    // A reload has to wait for this request's own writes, but not for its own lock.
    Object.defineProperty(session, 'reload', {
      configurable: true,
      writable: true,
      value: (callback) => settle(this.#reload(request, session), callback),
    });
    return session;
  }

  async #reload(request, session) {
    await this.#turns.get(session);
    const current = await this.#client.read(session.id);
    if (current === null) {
      throw new Error('failed to load session');
    }
    const { lock } = this.#stored.get(session);
    this.createSession(request, this.#use({ ...current, lock }));
  }

  /** Writes a session if it has changed, extends it if it's time, and releases its lock. */
  set(sid, session, callback) {
    return settle(this.#write(sid, session, (attributes) => this.#begin(sid, session, attributes)), callback);
  }

  /** Like `set`, for a session in which at most the cookie has changed. */
  touch(sid, session, callback) {
    return settle(this.#write(sid, session, ({ ttl }) => this.#client.touch({ id: sid }, ttl)), callback);
  }

  /**
   * Writes the session as it is now, once its earlier writes are done.
   *
   * @param begin writes a session that wasn't read
   */
  async #write(sid, session, begin) {
    if (!isId(sid)) {
      throw new TypeError('The session API accepts ids of 22 to 128 characters: A-Z, a-z, 0-9, "_", "," and "-".'
        + ' Change the option "genid" of express-session.');
    }
    const { hidden } = this.#stored.get(session) ?? {};
    // express-session has already written the headers. Hold them back, or the next page may not see a login.
    const response = session.req?.res;
    response?.cork?.();
    try {
      const attributes = {
        data: this.#options.serializer.stringify(hidden === undefined ? session : { ...session, ...hidden }),
        ttl: this.#ttl(session),
        user: this.#options.user(session),
        label: this.#options.label(session.req),
      };
      const isNew = this.#stored.get(session)?.id !== sid;
      const turn = this.#inTurn(session, () => this.#commit(sid, session, attributes, begin));
      if (isNew) {
        const through = turn.catch(() => undefined).then(() => this.#beginnings.delete(sid));
        this.#beginnings.set(sid, through);
      }
      await turn;
    } catch (error) {
      if (!(error instanceof Locked)) {
        this.#release(session);
      }
      throw error;
    } finally {
      response?.uncork?.();
    }
  }

  async #commit(sid, session, attributes, begin) {
    const { data, ttl, user } = attributes;
    const stored = this.#stored.get(session);
    if (ttl <= 0) {
      await this.#destroy(sid);
    } else if (this.#moves.has(sid)) {
      await this.#move(sid, session, attributes);
    } else if (stored?.id !== sid) {
      await begin(attributes);
    } else if (stored.hasEnded) {
      // Writing doesn't bring an ended session back.
    } else if ((user === undefined || user === stored.user) && this.#isSame(data, stored.base)) {
      await this.#keepAlive(stored, ttl);
    } else {
      const replaced = await this.#replace(stored, attributes);
      stored.lock = undefined;
      stored.hasEnded = replaced === null;
      if (replaced !== null) {
        await this.#remember(session, replaced, attributes, stored);
      }
    }
    if (stored?.hasEnded && session.req !== undefined) {
      // Otherwise express-session would send the dead id again, and overwrite one the browser may have got since.
      session.req.sessionID = undefined;
    }
  }

  /** Creates a session. If the id is taken, replaces that session, because the app chose the id. */
  async #begin(sid, session, attributes) {
    await this.#remember(session, await this.#create(sid, attributes), attributes);
  }

  async #create(sid, attributes) {
    const { data } = attributes;
    return await this.#client.create(sid, data, attributes)
      ?? await this.#client.replace({ id: sid, etag: '*' }, data, attributes)
      ?? this.#create(sid, attributes);
  }

  /** Moves a session to the new id from `regenerate`, with the data that was set since then. */
  async #move(sid, session, attributes) {
    const old = await this.#moves.get(sid);
    // Without a `Session-User`, a rotation would keep the old session's owner.
    const owned = { ...attributes, user: attributes.user ?? '' };
    const rotate = () => this.#client.rotate({ ...old, etag: '*' }, sid, attributes.data, owned);
    const moved = old && await rotate().catch(async (error) => {
      await this.#takeLock(old, error);
      return rotate();
    });
    // The new session begins even if the old one has ended.
    const written = moved ?? await this.#create(sid, attributes);
    // Not earlier: if the move fails, the next write must still end the old session.
    this.#moves.delete(sid);
    await this.#remember(session, written, attributes, old);
  }

  /** Replaces data, merged with what other requests have written since. Returns null if the session has ended. */
  async #replace(stored, attributes) {
    const { stringify } = this.#options.serializer;
    const deadline = Date.now() + MAX_MERGING;
    let current = stored;
    for (let pause = 25; current !== null; pause = Math.min(pause * 2, 500)) {
      const data = current.data === stored.base ? attributes.data : stringify(
        merge(this.#parse(stored.base), this.#parse(attributes.data), this.#parse(current.data)),
      );
      try {
        return await this.#client.replace(current, data, attributes);
      } catch (error) {
        if (error instanceof Conflict && Date.now() < deadline) {
          current = error.current;
          await sleep(randomInt(pause));
        } else {
          current = await this.#takeLock(stored, error);
        }
      }
    }
    return null;
  }

  /**
   * Takes the lock again if a write failed because another request holds it. An earlier write had released it. Returns
   * the session as it is now.
   */
  async #takeLock(stored, error) {
    if (!(error instanceof Locked) || stored.lock !== undefined || this.#options.lock === null) {
      throw error;
    }
    const current = await this.#lock(stored.id);
    stored.lock = current?.lock;
    return current;
  }

  /** Remembers a session that was written. If a user has just logged in, limits their sessions. */
  async #remember(session, written, { data, ttl, user }, before) {
    const hidden = before?.id === written.id ? before.hidden : undefined;
    this.#stored.set(session, { ...written, base: data, hidden, isInUse: true });
    this.#noteLifetime(written.id, ttl, written.ttl);
    if (this.#options.maxSessions !== undefined && user && user !== before?.user) {
      await this.#client.limit(user, this.#options.maxSessions);
    }
  }

  /** Whether two states of a session are the same, apart from the cookie's expiry. */
  #isSame(data, base) {
    if (data === base) {
      return true;
    }
    const [{ cookie: mine, ...rest }, { cookie: theirs, ...others }] = [this.#parse(data), this.#parse(base)];
    // express-session computes `originalMaxAge` from the clock, so it can be off by a millisecond.
    const timeless = (cookie) => ({ ...cookie, expires: null, originalMaxAge: Math.round(cookie?.originalMaxAge / 1000) });
    return isDeepStrictEqual(rest, others)
      // Other frameworks' sessions have no cookie in them.
      && (theirs === undefined || isDeepStrictEqual(timeless(mine), timeless(theirs)));
  }

  /** Extends a session if enough time has passed, and releases its lock. */
  async #keepAlive(stored, ttl) {
    const { touchAfter, disableTouch } = this.#options;
    const most = Math.min(ttl, this.#granted.get(stored.id) ?? ttl);
    const isDue = most - stored.ttl >= (touchAfter ?? most / 20);
    // The API counts in whole seconds.
    const isToEndEarlier = stored.ttl - ttl > 1;
    if ((isDue || isToEndEarlier) && !disableTouch) {
      const granted = await this.#client.touch(stored, ttl);
      stored.hasEnded = granted === null;
      stored.ttl = granted;
      this.#noteLifetime(stored.id, ttl, granted);
    } else if (stored.lock !== undefined) {
      await this.#client.release(stored);
    }
    stored.lock = undefined;
  }

  /** Remembers a lifetime that the API has cut, so that pages don't keep asking for more. */
  #noteLifetime(id, asked, granted) {
    this.#granted.delete(id);
    if (granted !== null && granted < asked) {
      add(this.#granted, id, granted);
    }
  }

  /** Ends a session. */
  destroy(sid, callback) {
    // A first write must not create the session after this. Other writes never do.
    return settle(Promise.resolve(this.#beginnings.get(sid)).then(() => this.#destroy(sid)), callback);
  }

  async #destroy(sid) {
    const moved = await this.#moves.get(sid);
    const id = moved?.id ?? sid;
    if (isId(id)) {
      await this.#client.destroy(id);
    }
    this.#moves.delete(sid);
  }

  /**
   * Replaces a request's session with a new one under a new id. The new one's first write, which express-session makes
   * at the end of the request, ends the old one in the same call.
   */
  regenerate(request, callback = () => {}) {
    const { session, sessionID } = request;
    const pending = this.#moves.get(sessionID);
    this.generate(request);
    add(this.#moves, request.sessionID, Promise.resolve(this.#turns.get(session)).then(async () => {
      const isPending = pending !== undefined && this.#moves.get(sessionID) === pending;
      const old = isPending ? await pending : this.#stored.get(session);
      if (isPending) {
        this.#moves.delete(sessionID);
      }
      return old?.hasEnded ? undefined : old;
    }));
    setImmediate(callback);
  }

  /** Runs a write of a session object after its earlier ones, because it builds on them. */
  #inTurn(session, write) {
    const turn = Promise.resolve(this.#turns.get(session)).then(write);
    this.#turns.set(session, turn.catch(() => undefined));
    return turn;
  }

  /**
   * Lists a user's sessions, newest first: `handle`, `label`, `created`, `used`, `expires`, and `current`, which marks
   * the one with this id.
   */
  async devices(user, sid) {
    return this.#client.sessions(named(user), sid);
  }

  /** Ends one of a user's sessions by its handle. Returns whether there was one. */
  async logoutDevice(user, handle) {
    return this.#client.destroyByHandle(named(user), handle);
  }

  /** Ends all of a user's sessions except the one with this id. Returns how many it ended. */
  async logoutOtherDevices(user, sid) {
    return this.#client.destroyAll(named(user), sid);
  }

  /** Ends all of a user's sessions. Returns how many it ended. */
  async logoutEverywhere(user) {
    return this.#client.destroyAll(named(user));
  }

  /** Returns a session's lifetime in seconds: from the `ttl` function, the cookie, or the option, in this order. */
  #ttl(session) {
    const { ttl } = this.#options;
    if (typeof ttl === 'function') {
      return ttl(session);
    }
    const { cookie } = session;
    const maxAge = cookie?.originalMaxAge ?? (cookie?.expires ? new Date(cookie.expires) - Date.now() : NaN);
    return Number.isFinite(maxAge) ? lifetime(maxAge / 1000) : ttl;
  }
}

/** Whether the API accepts this id. Any other cookie counts as no session. */
function isId(sid) {
  return /^[A-Za-z0-9_,-]{22,128}$/.test(sid);
}

function named(user) {
  const name = ownerName(user);
  if (!name) {
    throw new TypeError('Name the user whose sessions you mean.');
  }
  return name;
}

/** Adds to a map, and drops the oldest entry if it's full, because requests that died leave entries behind. */
function add(map, key, value) {
  map.set(key, value);
  if (map.size > MAX_REMEMBERED) {
    map.delete(map.keys().next().value);
  }
}

/** Calls back with a promise's outcome, but outside the promise, so that it doesn't catch the callback's exceptions. */
function settle(promise, callback) {
  if (callback === undefined) {
    // `req.session.destroy()` ignores the promise, and an unhandled rejection would end the process.
    promise.catch((error) => process.emitWarning(error));
    return promise;
  }
  promise.then(
    (value) => setImmediate(callback, null, value),
    (error) => setImmediate(callback, error),
  );
  return undefined;
}

module.exports = { SessionApiStore };
