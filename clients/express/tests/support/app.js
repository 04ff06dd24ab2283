'use strict';

const { sign } = require('cookie-signature');
const { EventEmitter, once } = require('node:events');
const express = require('express');
const session = require('express-session');
const { setTimeout: sleep } = require('node:timers/promises');
const { SessionApiStore } = require('../../src/index.js');
const { Proxy } = require('./proxy.js');

const SECRET = 'of the tests';

/** Emits `inside` when a page enters its step `hold`. The page leaves it on `go`. */
const held = new EventEmitter();

/** What a page can do. A request has a list of steps: names and their arguments. */
const STEPS = {
  set: (request, key, value) => { request.session[key] = value; },
  unset: (request, key) => { delete request.session[key]; },
  increment: (request, key) => { request.session[key] = (request.session[key] ?? 0) + 1; },
  sleep: (request, milliseconds) => sleep(milliseconds),
  hold: () => {
    held.emit('inside');
    return once(held, 'go');
  },
  maxAge: (request, milliseconds) => { request.session.cookie.maxAge = milliseconds; },
  save: (request) => promised(request, 'save'),
  saveAside: (request) => { request.session.save(); },
  destroyAside: (request) => { request.session.destroy(); },
  regenerateAside: (request) => { request.session.regenerate(); },
  reload: (request) => promised(request, 'reload'),
  regenerate: (request) => promised(request, 'regenerate'),
  destroy: (request) => promised(request, 'destroy'),
};

function promised(request, method) {
  return new Promise((resolve, reject) => {
    request.session[method]((error) => (error ? reject(error) : resolve()));
  });
}

/** An Express app whose sessions are in the API, behind a proxy. */
class App {
  static async start(options = {}, sessionOptions = {}) {
    const proxy = await Proxy.start(process.env.SESSION_API_URL);
    const store = new SessionApiStore({ url: proxy.url, ...options });
    const app = express();
    app.use(session({ secret: SECRET, store, resave: false, saveUninitialized: false, ...sessionOptions }));
    const page = async (request, response) => {
      const firstId = request.sessionID;
      for (const [step, ...parameters] of request.body) {
        await STEPS[step](request, ...parameters);
      }
      const { cookie, ...data } = request.session?.toJSON?.() ?? request.session ?? {};
      response.json({ id: request.sessionID, firstId, expires: cookie?.expires ?? null, session: data });
    };
    // Express 4 doesn't wait for a page that fails later.
    app.post('/', express.json(), (request, response, next) => { page(request, response).catch(next); });
    app.use((error, request, response, next) => {
      if (response.headersSent) {
        next(error);
        return;
      }
      response.status(error.status ?? 500).json({ error: `${error.name}: ${error.message}` });
    });
    const server = await new Promise((resolve) => {
      const listening = app.listen(0, '127.0.0.1', () => resolve(listening));
    });
    return new App(proxy, store, server);
  }

  constructor(proxy, store, server) {
    this.proxy = proxy;
    this.store = store;
    this.server = server;
  }

  browser(agent = 'Firefox') {
    return new Browser(this, agent);
  }

  stop() {
    this.proxy.stop();
    this.server.closeAllConnections();
    this.server.close();
  }
}

/** A browser that visits pages of the app and keeps its session cookie. */
class Browser {
  cookie;

  constructor(app, agent) {
    this.app = app;
    this.agent = agent;
  }

  /** Visits a page that does these steps. Returns its `{ status, calls, session, id, expires, error }`. */
  async visit(...steps) {
    this.app.proxy.takeCalls();
    const response = await this.follow(...steps);
    const { status } = response;
    const page = await response.json();
    return { status, isNew: response.headers.has('set-cookie'), ...page, calls: this.app.proxy.takeCalls() };
  }

  /** Visits a page that reads its session, waits for `act`, and then does these steps. */
  async visitDuring(act, ...steps) {
    const inside = once(held, 'inside');
    const page = this.visit(['hold'], ...steps);
    await Promise.race([inside, page]);
    await act();
    held.emit('go');
    return page;
  }

  /** Visits a page that does these steps. Returns as soon as its headers are there, like a browser on a redirect. */
  async follow(...steps) {
    const response = await fetch(`http://127.0.0.1:${this.app.server.address().port}/`, {
      method: 'POST',
      headers: {
        'content-type': 'application/json',
        'user-agent': this.agent,
        ...(this.cookie === undefined ? {} : { cookie: this.cookie }),
      },
      body: JSON.stringify(steps),
    });
    const [cookie] = response.headers.getSetCookie();
    this.cookie = cookie?.split(';')[0] ?? this.cookie;
    return response;
  }

  /** Sets the cookie to the session with this id. */
  use(id) {
    this.cookie = `connect.sid=${encodeURIComponent(`s:${sign(id, SECRET)}`)}`;
  }
}

/** Runs a test with an app. */
function withApp(run, ...options) {
  return async () => {
    const app = await App.start(...options);
    try {
      await run(app);
    } finally {
      app.stop();
    }
  };
}

module.exports = { STEPS, withApp };
