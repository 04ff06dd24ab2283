'use strict';

/** The session API didn't respond, or not as it should, so nothing is known about the session. */
class Unavailable extends Error {
  name = 'Unavailable';
  code = 'ERR_SESSION_API_UNAVAILABLE';
  /** Express responds with it. */
  status = 503;
}

/** Another request holds the lock of the session, or has taken it. */
class Locked extends Unavailable {
  name = 'Locked';
  code = 'ERR_SESSION_LOCKED';
}

/** Another request changed the session since it was read. */
class Conflict extends Unavailable {
  /** @param {object} current the session as the other request left it */
  constructor(current) {
    super('Other requests kept changing the session');
    this.current = current;
  }
}

module.exports = { Conflict, Locked, Unavailable };
