'use strict';

const http = require('node:http');

/** A proxy in front of the API that records calls, and loses the responses that a test tells it to lose. */
class Proxy {
  /** Calls since they were last taken, such as `GET /session`. */
  #calls = [];
  /** Calls whose next response is lost. */
  #lost = [];
  #server;
  /** Headers of the last call. */
  headers;
  /** Extra milliseconds that calls take to the API, unless they're GETs. */
  delay = 0;

  static async start(target) {
    const proxy = new Proxy(target);
    await new Promise((resolve) => { proxy.#server.listen(0, '127.0.0.1', resolve); });
    return proxy;
  }

  constructor(target) {
    const agent = new http.Agent({ keepAlive: true });
    this.#server = http.createServer((request, response) => {
      const call = `${request.method} ${request.url}`;
      this.#calls.push(call);
      this.headers = request.headers;
      const isLost = this.#lost.includes(call);
      if (isLost) {
        this.#lost.splice(this.#lost.indexOf(call), 1);
      }
      const { method, headers } = request;
      const forwarded = http.request(new URL(request.url, target), { method, headers, agent }, (received) => {
        if (isLost) {
          received.resume();
          received.on('end', () => request.socket.destroy());
          return;
        }
        response.writeHead(received.statusCode, received.headers);
        received.pipe(response);
      });
      forwarded.on('error', () => request.socket.destroy());
      setTimeout(() => request.pipe(forwarded), method === 'GET' ? 0 : this.delay);
    });
  }

  get url() {
    return `http://127.0.0.1:${this.#server.address().port}`;
  }

  takeCalls() {
    const calls = this.#calls;
    this.#calls = [];
    return calls;
  }

  /** Loses the responses to the next calls like this. */
  loseResponse(call, times = 1) {
    this.#lost.push(...Array(times).fill(call));
  }

  stop() {
    this.#server.closeAllConnections();
    this.#server.close();
  }
}

module.exports = { Proxy };
