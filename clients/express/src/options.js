'use strict';

const { MAX_WAIT } = require('./limits.js');

const NAMES = [
  'url', 'region', 'ttl', 'touchAfter', 'disableTouch', 'lock', 'user', 'label', 'timeout', 'retries',
  'serializer', 'credentials',
];

/** Returns the options with their defaults. Throws a `TypeError` that names the option and its valid values. */
function readOptions(options) {
  const unknown = Object.keys(options).find((name) => !NAMES.includes(name));
  if (unknown !== undefined) {
    throw new TypeError(`Unknown option "${unknown}". The options are: ${NAMES.join(', ')}.`);
  }
  const { env } = process;
  const ttl = options.ttl ?? 86_400;
  const user = options.user ?? (() => undefined);
  const label = options.label ?? ((request) => request?.headers?.['user-agent']);
  return {
    url: url(options.url ?? env.SESSION_API_URL),
    region: options.region ?? env.AWS_REGION ?? env.AWS_DEFAULT_REGION ?? 'us-east-1',
    ttl: typeof ttl === 'function' ? ttl : number('ttl', ttl, 1, Infinity),
    touchAfter: options.touchAfter === undefined ? null : number('touchAfter', options.touchAfter, 0, Infinity),
    disableTouch: options.disableTouch ?? false,
    lock: options.lock === undefined || options.lock === false ? null : number('lock', options.lock, 0, MAX_WAIT),
    user: typeof user === 'function' ? user : () => user,
    label: typeof label === 'function' ? label : () => label,
    timeout: number('timeout', options.timeout ?? 5, 0.1, 60),
    retries: number('retries', options.retries ?? 2, 0, 10),
    serializer: options.serializer ?? JSON,
    credentials: options.credentials,
  };
}

function url(text) {
  const parsed = URL.canParse(text ?? '') ? new URL(text) : undefined;
  const isUrl = ['http:', 'https:'].includes(parsed?.protocol)
    && [parsed.username, parsed.password, parsed.search, parsed.hash].every((part) => part === '');
  if (!isUrl) {
    throw new TypeError('Set the option "url" or the variable SESSION_API_URL to the URL of the session API,'
      + ' as in https://abc.execute-api.eu-central-1.amazonaws.com.');
  }
  return parsed;
}

function number(name, value, min, max) {
  if (typeof value !== 'number' || !(value >= min && value <= max)) {
    const limit = max === Infinity ? `${min} or more` : `from ${min} to ${max}`;
    throw new TypeError(`The option "${name}" must be a number, ${limit}.`);
  }
  return value;
}

module.exports = { readOptions };
