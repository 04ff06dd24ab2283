import type { SessionData, Store } from 'express-session';
import type { IncomingMessage } from 'node:http';

/** AWS credentials in the AWS SDK's format. */
export interface Credentials {
  accessKeyId: string;
  secretAccessKey: string;
  sessionToken?: string;
  expiration?: Date;
}

/** Options of the store. Times are in seconds. */
export interface Options {
  /** URL of the API. Default: `SESSION_API_URL`. */
  url?: string;
  /**
   * The stack's output `FunctionUrls`: calls about one session go past API Gateway. Default:
   * `SESSION_API_FUNCTION_URLS`, unless you set `url`.
   */
  functionUrls?: string;
  /** AWS region to sign for, unless the URL names it. Default: `AWS_REGION`. */
  region?: string;
  /** Time until an idle session expires, if its cookie has no `maxAge`; or a function that decides. Default: 86400. */
  ttl?: number | ((session: SessionData) => number);
  /** Time after which using an unchanged session extends it. Default: 5% of its lifetime. */
  touchAfter?: number;
  /** Never extends unchanged sessions. */
  disableTouch?: boolean;
  /** Time to wait for the session's lock, 0 to 10. Default: no lock. */
  lock?: number | false;
  /** Time after which the lock expires by itself, 1 to 60. Default: 10. */
  lease?: number;
  /** Owner of a session, or a function of the session: undefined keeps the owner, an empty name removes it. */
  user?: User | ((session: SessionData) => User | null | undefined);
  /** Maximum number of sessions per user, 1 to 100. A login beyond that ends the oldest. Default: no limit. */
  maxSessions?: number;
  /** Name shown in the device list, or a function of the request. Default: the browser's `User-Agent`. */
  label?: string | ((request: IncomingMessage) => string | undefined);
  /** Time for each attempt of a call, plus the wait for a lock. Default: 5. */
  timeout?: number;
  /** Retries of a failed call. Default: 2. */
  retries?: number;
  /** How sessions become text, and back. Default: `JSON`. */
  serializer?: { parse(text: string): object; stringify(session: object): string };
  /** Credentials to sign with, or a function, called again before they expire or when they're refused. Default: what the AWS SDK finds. */
  credentials?: Credentials | (() => Credentials | Promise<Credentials>);
}

/** Owner of a session: text, a whole number, or an object that converts to text, such as an ObjectId. */
export type User = string | number | bigint | object;

/** A session in a user's device list. Times are RFC 3339. */
export interface Device {
  /** Pass it to {@link SessionApiStore.logoutDevice}. It can't be used to read a session. */
  handle: string;
  label: string | null;
  created: string;
  used: string;
  expires: string;
  current: boolean;
}

/** express-session store that keeps sessions in the session API. */
export class SessionApiStore extends Store {
  /** @throws {TypeError} if an option is invalid */
  constructor(options?: Options);

  get(sid: string): Promise<SessionData | null>;
  get(sid: string, callback: (error: unknown, session?: SessionData | null) => void): void;
  set(sid: string, session: SessionData): Promise<void>;
  set(sid: string, session: SessionData, callback: (error?: unknown) => void): void;
  touch(sid: string, session: SessionData): Promise<void>;
  touch(sid: string, session: SessionData, callback: (error?: unknown) => void): void;
  destroy(sid: string): Promise<void>;
  destroy(sid: string, callback: (error?: unknown) => void): void;

  /** Lists a user's sessions, newest first. The one with this id is marked as current. */
  devices(user: User, sid?: string): Promise<Device[]>;
  /** Ends one of a user's sessions by its handle. Returns whether there was one. */
  logoutDevice(user: User, handle: string): Promise<boolean>;
  /** Ends all of a user's sessions except the one with this id. Returns how many it ended. */
  logoutOtherDevices(user: User, sid: string): Promise<number>;
  /** Ends all of a user's sessions. Returns how many it ended. */
  logoutEverywhere(user: User): Promise<number>;
}

/**
 * The session couldn't be read or written: the API didn't respond, failed, or refused the request.
 *
 * It never means that the session doesn't exist. Express responds with status 503.
 */
export class Unavailable extends Error {
  readonly code: string;
  readonly status: 503;
}

/** Another request holds the session's lock, or this one has lost it. */
export class Locked extends Unavailable {}
