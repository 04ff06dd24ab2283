'use strict';

const aws4 = require('aws4');
const { Unavailable } = require('./errors.js');

/** How long before credentials expire new ones are fetched, in milliseconds. */
const RENEWAL = 5 * 60_000;

/** Signs requests with the server's credentials (AWS Signature Version 4). */
class Signer {
  #apiUrl;
  #region;
  /** Whether calls to this machine are signed, too. `make run` needs no signatures. */
  #signsLocal;
  /** Function that returns credentials; undefined if no calls are signed. */
  #fetch;
  /** Promise of the credentials, and when to replace it. */
  #credentials;
  #until = 0;

  constructor({ url, functionUrls, region, credentials }) {
    this.#apiUrl = url;
    this.#region = region;
    this.#signsLocal = credentials !== undefined || Boolean(process.env.AWS_ACCESS_KEY_ID);
    if (typeof credentials === 'function') {
      this.#fetch = credentials;
    } else if (credentials !== undefined) {
      this.#fetch = () => credentials;
    } else if ([url, ...Object.values(functionUrls)].some((each) => this.#signs(each))) {
      // Loaded only here because it's large.
      this.#fetch = require('@aws-sdk/credential-provider-node').defaultProvider();
    }
  }

  /** Returns the headers of a request to the API's or a function's URL, plus those that sign it. */
  async sign(url, method, path, headers, body) {
    const all = { ...headers, host: url.host };
    if (!this.#signs(url)) {
      return all;
    }
    try {
      const credentials = await this.#current();
      return aws4.sign({ ...this.#scope(url), method, path, headers: all, body }, credentials).headers;
    } catch (cause) {
      throw new Unavailable(`Calls to the session API cannot be signed: ${cause.message}`, { cause });
    }
  }

  #signs({ hostname }) {
    return this.#signsLocal || !['localhost', '127.0.0.1', '[::1]'].includes(hostname);
  }

  /** Returns the service and the region to sign for. AWS's own hosts name both. */
  #scope(url) {
    const [, service = url === this.#apiUrl ? 'execute-api' : 'lambda', region = this.#region]
      = url.hostname.match(/\.(execute-api|lambda)(?:-url)?\.([^.]+)\.(?:amazonaws|on)\./) ?? [];
    return { service, region };
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
