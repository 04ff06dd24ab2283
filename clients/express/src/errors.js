'use strict';

/**
 * The session couldn't be read or written: the API didn't respond, failed, or refused the request.
 *
 * It never means that the session doesn't exist.
 */
class Unavailable extends Error {
  name = 'Unavailable';
  code = 'ERR_SESSION_API_UNAVAILABLE';
  /** Express responds with this status. */
  status = 503;
}

/** Another request holds the session's lock, or this one has lost it. */
class Locked extends Unavailable {
  name = 'Locked';
  code = 'ERR_SESSION_LOCKED';
}

/** Another request has changed the session since it was read. */
class Conflict extends Unavailable {
  /** @param {object} current the session as it is now */
  constructor(current) {
    super('Other requests kept changing the session');
    this.current = current;
  }
}

module.exports = { Conflict, Locked, Unavailable };
