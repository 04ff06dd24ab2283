'use strict';

const { inspect } = require('node:util');

const NAMES = [
  'url', 'functionUrls', 'region', 'ttl', 'touchAfter', 'disableTouch', 'lock', 'lease', 'user', 'maxSessions', 'label',
  'timeout', 'retries', 'serializer', 'credentials',
];
/** Longest lifetime to ask for, in seconds. The API's own limit is lower. */
const MAX_TTL = 2 ** 31 - 1;

/** Fills in the defaults. If an option is invalid, throws a `TypeError` naming it and its valid values. */
function readOptions(options) {
  const unknown = Object.keys(options).find((name) => !NAMES.includes(name));
  if (unknown !== undefined) {
    throw new TypeError(`Unknown option "${unknown}". The options are: ${NAMES.join(', ')}.`);
  }
  const { env } = process;
  const { ttl = 86_400, touchAfter, lock = false, lease = 10, maxSessions, timeout = 5, retries = 2 } = options;
  const { user, label = (request) => request.headers['user-agent'] } = options;
  return {
    url: url(options.url ?? env.SESSION_API_URL),
    // An API that the app names gets no other API's functions from the environment.
    functionUrls: functionUrls(options.functionUrls ?? (options.url ? '' : env.SESSION_API_FUNCTION_URLS)),
    region: options.region ?? env.AWS_REGION ?? env.AWS_DEFAULT_REGION ?? 'us-east-1',
    ttl: typeof ttl === 'function' ? (session) => lifetime(ttl(session)) : integer('ttl', ttl, 1, MAX_TTL),
    touchAfter: touchAfter === undefined ? undefined : number('touchAfter', touchAfter, 0, Infinity),
    disableTouch: options.disableTouch ?? false,
    lock: lock === false ? null : integer('lock', lock, 0, 10),
    lease: integer('lease', lease, 1, 60),
    user: typeof user === 'function' ? (session) => ownerName(user(session)) : () => ownerName(user),
    maxSessions: maxSessions === undefined ? undefined : integer('maxSessions', maxSessions, 1, 100),
    label: (request) => text(typeof label !== 'function' ? label : request?.headers && label(request)),
    timeout: number('timeout', timeout, 0.1, 60),
    retries: integer('retries', retries, 0, 10),
    serializer: options.serializer ?? JSON,
    credentials: options.credentials,
  };
}

/** Returns an owner's name as text, or undefined if there is none. */
function ownerName(user) {
  const isName = user == null || ['string', 'bigint'].includes(typeof user) || Number.isSafeInteger(user)
    // For example a UUID or an ObjectId.
    || (typeof user === 'object' && !Array.isArray(user) && !String(user).startsWith('[object'));
  if (!isName) {
    throw new TypeError(`The owner of a session must be text or a whole number, not ${inspect(user)}.`);
  }
  return text(user);
}

function text(value) {
  return value == null ? undefined : String(value);
}

/** Rounds up a lifetime that the app has computed, because the API counts in whole seconds. */
function lifetime(seconds) {
  if (Number.isNaN(Number(seconds))) {
    throw new TypeError('The option "ttl" must return a number of seconds.');
  }
  return Math.min(Math.ceil(seconds), MAX_TTL);
}

function url(text) {
  const parsed = parseUrl(text);
  if (parsed === undefined) {
    throw new TypeError('Set the option "url" or the variable SESSION_API_URL to the URL of the session API,'
      + ' such as https://abc.execute-api.eu-central-1.amazonaws.com.');
  }
  return parsed;
}

/** Returns the functions' URLs by name, or an empty object if there are none. */
function functionUrls(text) {
  if (!text) {
    return {};
  }
  const entries = String(text).split(',').map((entry) => entry.split(/=(.*)/s));
  const urls = Object.fromEntries(entries.map(([name, value]) => [name, parseUrl(value)]));
  if (entries.length !== 3 || !['read', 'write', 'destroy'].every((name) => urls[name])) {
    throw new TypeError('Set the option "functionUrls" or the variable SESSION_API_FUNCTION_URLS to the stack\'s output'
      + ' FunctionUrls, such as read=https://...,write=https://...,destroy=https://...');
  }
  return urls;
}

function parseUrl(text) {
  const parsed = URL.canParse(text ?? '') ? new URL(text) : undefined;
  const isUrl = ['http:', 'https:'].includes(parsed?.protocol)
    && [parsed.username, parsed.password, parsed.search, parsed.hash].every((part) => part === '');
  return isUrl ? parsed : undefined;
}

function number(name, value, min, max, what = 'a number') {
  if (typeof value !== 'number' || !(value >= min && value <= max)) {
    const limit = max === Infinity ? `${min} or more` : `from ${min} to ${max}`;
    throw new TypeError(`The option "${name}" must be ${what}, ${limit}.`);
  }
  return value;
}

function integer(name, value, min, max) {
  return number(name, Number.isInteger(value) ? value : undefined, min, max, 'a whole number');
}

module.exports = { lifetime, ownerName, readOptions };
