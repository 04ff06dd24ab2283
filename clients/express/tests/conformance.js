'use strict';

// The app that the scenes in tests/conformance visit. Usage: conformance.js ADDRESS
const express = require('express');
const session = require('express-session');
const { SessionApiStore } = require('../src/index.js');
const { STEPS } = require('./support/app.js');

/** Middleware for each set of options. Scenes name options the same way for all clients. */
const middleware = new Map();

function sessions(text) {
  if (!middleware.has(text)) {
    const { touch_after: touchAfter, max_sessions: maxSessions, function_urls: functionUrls, ...options } = JSON.parse(text);
    const user = (data) => data.user;
    const store = new SessionApiStore({ ...options, touchAfter, maxSessions, functionUrls, user });
    middleware.set(text, session({ secret: 'of the tests', store, resave: false, saveUninitialized: false }));
  }
  return middleware.get(text);
}

const app = express();
app.use((request, response, next) => sessions(request.headers['x-options'])(request, response, next));
app.post('/', express.json({ limit: '10mb' }), async (request, response) => {
  for (const [step, ...parameters] of request.body) {
    await STEPS[step](request, ...parameters);
  }
  if (request.session !== undefined && Object.keys(request.session).length > 1) {
    // Save before the response begins, so that it can show a failure.
    await STEPS.save(request);
  }
  const { cookie, ...data } = request.session?.toJSON?.() ?? request.session ?? {};
  response.json({ session: data });
});
app.use((error, request, response, _next) => {
  response.status(error.status ?? 500).json({ error: `${error.name}: ${error.message}` });
});

const [host, port] = process.argv[2].split(':');
app.listen(Number(port), host);
