'use strict';

/** Limits of the session API. Times are in seconds. */
module.exports = {
  MAX_WAIT: 10,
  MAX_LEASE: 60,
  /** Length of a label in its encoded form. */
  MAX_LABEL: 256,
};
