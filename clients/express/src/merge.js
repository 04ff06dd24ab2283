'use strict';

const { isDeepStrictEqual } = require('node:util');

/**
 * Three-way merge of session data by its top-level keys. Returns theirs with the keys changed that differ between base
 * and mine. Where both changed a key, mine wins.
 */
function merge(base, mine, theirs) {
  const merged = { ...theirs };
  for (const [key, value] of Object.entries(mine)) {
    if (!Object.hasOwn(base, key) || !isDeepStrictEqual(value, base[key])) {
      merged[key] = value;
    }
  }
  for (const key of Object.keys(base)) {
    if (!Object.hasOwn(mine, key)) {
      delete merged[key];
    }
  }
  return merged;
}

module.exports = { merge };
