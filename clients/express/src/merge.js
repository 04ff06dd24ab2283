'use strict';

const { isDeepStrictEqual } = require('node:util');

/**
 * Merges session data by top-level key: what changed from base to mine changes in theirs. If both changed a key, mine
 * wins.
 */
function merge(base, mine, theirs) {
  const isMine = ([key, value]) => !Object.hasOwn(base, key) || !isDeepStrictEqual(value, base[key]);
  const isKept = ([key]) => !Object.hasOwn(base, key) || Object.hasOwn(mine, key);
  // An assignment would fail for the key `__proto__`.
  return Object.fromEntries([...Object.entries(theirs).filter(isKept), ...Object.entries(mine).filter(isMine)]);
}

module.exports = { merge };
