'use strict';

const http = require('node:http');
const https = require('node:https');
const { Unavailable } = require('./errors.js');

/** Idle connections are closed after this many milliseconds, before gateways and firewalls forget them. */
const MAX_IDLE = 50_000;

/** HTTP over kept connections. */
class Transport {
  #url;
  #http;
  #agent;

  /** @param {URL} url */
  constructor(url) {
    this.#url = url;
    this.#http = url.protocol === 'https:' ? https : http;
    this.#agent = new this.#http.Agent({ keepAlive: true, timeout: MAX_IDLE });
  }

  /**
   * Sends a request once. Returns `{ status, headers, body }`, with the body as a `Buffer`.
   *
   * @throws {Unavailable} if no complete response arrives within `timeout` seconds. `wasKept` says whether that may
   *   just be because a kept connection was dead.
   */
  async send(method, path, headers, body, timeout) {
    const signal = AbortSignal.timeout(timeout * 1000);
    try {
      return await this.#exchange(method, path, headers, body, signal);
    } catch (cause) {
      const reason = signal.aborted ? 'did not respond in time' : `cannot be reached: ${cause.message || cause.code}`;
      const error = new Unavailable(`The session API at ${this.#url.origin} ${reason}`, { cause });
      throw Object.assign(error, { wasKept: cause.wasKept && !signal.aborted });
    }
  }

  #exchange(method, path, headers, body, signal) {
    return new Promise((resolve, reject) => {
      const options = { method, path, headers, signal, agent: this.#agent };
      const request = this.#http.request(this.#url.origin, options, (response) => {
        const chunks = [];
        response.on('data', (chunk) => chunks.push(chunk));
        response.on('error', fail);
        response.on('end', () => resolve({
          status: response.statusCode,
          headers: response.headers,
          body: Buffer.concat(chunks),
        }));
      });
      const fail = (error) => {
        // If one connection is dead, the other idle ones may be, too. The next attempt opens a new one.
        Object.values(this.#agent.freeSockets).flat().forEach((socket) => socket.destroy());
        reject(Object.assign(error, { wasKept: request.reusedSocket }));
      };
      request.on('error', fail);
      request.end(body);
    });
  }
}

module.exports = { Transport };
