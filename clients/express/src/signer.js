'use strict';

const aws4 = require('aws4');
const { Unavailable } = require('./errors.js');

/** How long before credentials expire new ones are fetched, in milliseconds. */
const RENEWAL = 5 * 60_000;

/** Signs requests with the server's credentials (AWS Signature Version 4). */
class Signer {
  #url;
  #region;
  /** Function that returns credentials; undefined if calls aren't signed. */
  #fetch;
  /** Promise of the credentials, and when to replace it. */
  #credentials;
  #until = 0;

  constructor({ url, region, credentials }) {
    this.#url = url;
    this.#region = region;
    if (typeof credentials === 'function') {
      this.#fetch = credentials;
    } else if (credentials !== undefined) {
      this.#fetch = () => credentials;
    } else if (process.env.AWS_ACCESS_KEY_ID || !['localhost', '127.0.0.1', '[::1]'].includes(url.hostname)) {
      // Loaded only here because it's large. `make run` needs no signatures.
      this.#fetch = require('@aws-sdk/credential-provider-node').defaultProvider();
    }
  }

  /** Returns the headers of a request, plus those that sign it. */
  async sign(method, path, headers, body) {
    const all = { ...headers, host: this.#url.host };
    if (this.#fetch === undefined) {
      return all;
    }
    try {
      const credentials = await this.#current();
      return aws4.sign({ service: 'execute-api', region: this.#region, method, path, headers: all, body }, credentials).headers;
    } catch (cause) {
      throw new Unavailable(`Calls to the session API cannot be signed: ${cause.message}`, { cause });
    }
  }

  /** Forgets credentials that the API refused. Returns whether there may be others. */
  renew() {
    this.#until = 0;
    this.#credentials = undefined;
    return this.#fetch !== undefined;
  }

  #current() {
    if (Date.now() >= this.#until) {
      this.#until = Infinity;
      this.#credentials = this.#renewed(this.#credentials);
    }
    return this.#credentials;
  }

  async #renewed(previous) {
    try {
      const credentials = await this.#fetch({ forceRefresh: previous === undefined });
      this.#until = credentials.expiration ? new Date(credentials.expiration) - RENEWAL : Infinity;
      return credentials;
    } catch (error) {
      this.#until = 0;
      const credentials = await previous?.catch(() => undefined);
      if (new Date(credentials?.expiration) > new Date()) {
        return credentials;
      }
      throw error;
    }
  }
}

module.exports = { Signer };
