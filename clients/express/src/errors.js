'use strict';

/** The session API did not respond, or not as it should. What is in the session cannot be known. */
class Unavailable extends Error {
  name = 'Unavailable';
  code = 'ERR_SESSION_API_UNAVAILABLE';
  /** Status that Express responds with. */
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
