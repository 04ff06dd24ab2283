'use strict';

const { Locked, Unavailable } = require('./errors.js');
const { SessionApiStore } = require('./store.js');

module.exports = { Locked, SessionApiStore, Unavailable };
