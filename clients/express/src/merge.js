'use strict';

const { isDeepStrictEqual } = require('node:util');

/**
 * Three-way merge of session data by its top-level keys. Returns theirs with my changes: the keys that differ between
 * base and mine. If both changed a key, mine wins.
 */
function merge(base, mine, theirs) {
  const isMine = ([key, value]) => !Object.hasOwn(base, key) || !isDeepStrictEqual(value, base[key]);
  const isKept = ([key]) => !Object.hasOwn(base, key) || Object.hasOwn(mine, key);
  // Assigning to the key `__proto__` wouldn't work.
  return Object.fromEntries([...Object.entries(theirs).filter(isKept), ...Object.entries(mine).filter(isMine)]);
}

module.exports = { merge };
