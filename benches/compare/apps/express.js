'use strict';

// Usage: express.js STORE ADDRESS, with the store's URL in STORE_URL
const express = require('express');
const session = require('express-session');
const { setTimeout: sleep } = require('node:timers/promises');

/** Each store, set up as in its documentation. */
const STORES = {
  'connect-redis': async (url) => {
    const { createClient } = require('redis');
    const { RedisStore } = require('connect-redis');
    const client = createClient({ url });
    client.on('error', () => {});
    await client.connect();
    return new RedisStore({ client });
  },
  'connect-dynamodb': async (endpoint) => {
    const { DynamoDBClient } = require('@aws-sdk/client-dynamodb');
    const DynamoDBStore = require('connect-dynamodb')(session);
    return new DynamoDBStore({ client: new DynamoDBClient({ endpoint }), table: 'connect' });
  },
};

const promised = (request, method) => new Promise((resolve, reject) => {
  request.session[method]((error) => (error ? reject(error) : resolve()));
});

const STEPS = {
  set: (request, key, value) => { request.session[key] = value; },
  unset: (request, key) => { delete request.session[key]; },
  sleep: (request, milliseconds) => sleep(milliseconds),
  regenerate: (request) => promised(request, 'regenerate'),
  destroy: (request) => promised(request, 'destroy'),
};

async function main([name, address]) {
  const store = await STORES[name](process.env.STORE_URL);
  const app = express();
  app.use(session({ secret: 'of the tests', store, resave: false, saveUninitialized: false }));
  app.post('/', express.json(), async (request, response) => {
    for (const [step, ...parameters] of request.body) {
      await STEPS[step](request, ...parameters);
    }
    const { cookie, ...data } = request.session?.toJSON?.() ?? request.session ?? {};
    response.json({ session: data });
  });
  app.use((error, request, response, _next) => {
    response.status(500).json({ error: `${error.name}: ${error.message}` });
  });
  const [host, port] = address.split(':');
  app.listen(Number(port), host);
}

main(process.argv.slice(2));
