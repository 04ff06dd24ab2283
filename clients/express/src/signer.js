'use strict';

const { createHash, createHmac } = require('node:crypto');
const { Unavailable } = require('./errors.js');

const PACKAGES = ['@smithy/signature-v4', '@aws-sdk/credential-providers'];

/** SHA-256 as the signer takes it. */
class Sha256 {
  #hash;

  constructor(secret) {
    this.#hash = secret === undefined ? createHash('sha256') : createHmac('sha256', secret);
  }

  update(data) {
    this.#hash.update(data);
  }

  async digest() {
    return this.#hash.digest();
  }
}

/** Signs requests with the credentials of the server (AWS Signature Version 4). */
class Signer {
  #region;
  #url;
  #credentials;
  #isOptional;
  #signer;

  constructor({ url, region, credentials }) {
    this.#url = url;
    this.#region = region;
    // `make run` serves the API without an authorizer.
    const isLocal = ['localhost', '127.0.0.1', '[::1]'].includes(url.hostname);
    this.#isOptional = isLocal && credentials === undefined && process.env.AWS_ACCESS_KEY_ID === undefined;
    this.#credentials = credentials;
  }

  /** Returns the headers of a request with its signature. */
  async sign(method, path, headers, body) {
    const all = { ...headers, host: this.#url.host };
    if (this.#isOptional) {
      return all;
    }
    this.#signer ??= this.#create();
    const { protocol, hostname, port } = this.#url;
    const request = { method, protocol, hostname, port: port && Number(port), path, headers: all, body };
    try {
      return (await (await this.#signer).sign(request)).headers;
    } catch (cause) {
      // The next call tries again.
      this.#signer = undefined;
      throw new Unavailable(`A call of the session API cannot be signed: ${cause.message}`, { cause });
    }
  }

  async #create() {
    let modules;
    try {
      modules = await Promise.all(PACKAGES.map((name) => import(name)));
    } catch (cause) {
      throw new Error(`install the packages that sign calls: npm install ${PACKAGES.join(' ')}`, { cause });
    }
    const [{ SignatureV4 }, { fromNodeProviderChain }] = modules;
    return new SignatureV4({
      service: 'execute-api',
      region: this.#region,
      credentials: this.#credentials ?? fromNodeProviderChain(),
      sha256: Sha256,
      applyChecksum: false,
    });
  }
}

module.exports = { Signer };
