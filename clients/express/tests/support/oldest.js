'use strict';

// Makes the tests use the oldest versions that the store supports. `../../test` loads this before the tests.
const Module = require('node:module');

const OLDEST = { 'express': 'express-4', 'express-session': 'express-session-1.17' };
const resolve = Module._resolveFilename;
Module._resolveFilename = (request, ...rest) => resolve(OLDEST[request] ?? request, ...rest);
