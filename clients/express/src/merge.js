'use strict';

const { isDeepStrictEqual } = require('node:util');

/**
 * Three-way merge of session data by its top-level keys. Returns theirs with the keys changed that differ between base
 * and mine. Where both changed a key, mine wins.
 */
function merge(base, mine, theirs) {
  const isMine = ([key, value]) => !Object.hasOwn(base, key) || !isDeepStrictEqual(value, base[key]);
  const isKept = ([key]) => !Object.hasOwn(base, key) || Object.hasOwn(mine, key);
  // Not by assignment: a key can be `__proto__`.
  return Object.fromEntries([...Object.entries(theirs).filter(isKept), ...Object.entries(mine).filter(isMine)]);
}

module.exports = { merge };
