import type { SessionData, Store } from 'express-session';
import type { IncomingMessage } from 'node:http';

/** AWS credentials, as the AWS SDK has them. */
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
  /** AWS region that signatures are for. Default: `AWS_REGION`. */
  region?: string;
  /** Time until an unused session expires, if its cookie has no `maxAge`; or a function that decides. Default: 86400. */
  ttl?: number | ((session: SessionData) => number);
  /** Time after which using an unchanged session extends it. Default: a twentieth of its lifetime. */
  touchAfter?: number;
  /** Whether unchanged sessions are never extended. */
  disableTouch?: boolean;
  /** Time to wait for the session's lock, 0 to 10. Default: no lock. */
  lock?: number | false;
  /** Time after which the lock expires by itself, 1 to 60. Default: 10. */
  lease?: number;
  /** Owner of a session: undefined keeps it, and an empty name removes it. */
  user?: User | ((session: SessionData) => User | null | undefined);
  /** Most sessions that a user may have, 1 to 100: a login ends the oldest ones above it. Default: no limit. */
  maxSessions?: number;
  /** Name of the session in the list of devices. Default: the browser's `User-Agent`. */
  label?: string | ((request: IncomingMessage) => string | undefined);
  /** Time for each attempt of a call. Default: 5. */
  timeout?: number;
  /** Retries of a call that failed. Default: 2. */
  retries?: number;
  /** How sessions become text, and back. Default: `JSON`. */
  serializer?: { parse(text: string): object; stringify(session: object): string };
  /** Credentials that sign calls, or a function, called again before they expire or when they are refused. Default: what the AWS SDK finds. */
  credentials?: Credentials | (() => Credentials | Promise<Credentials>);
}

/** Owner of a session: text, a whole number, or an object that has a text, such as an ObjectId. */
export type User = string | number | bigint | object;

/** A session in the list of its user. Times are RFC 3339. */
export interface Device {
  /** Name for {@link SessionApiStore.logoutDevice}. It cannot be used to read a session. */
  handle: string;
  label: string | null;
  created: string;
  used: string;
  expires: string;
  current: boolean;
}

/** Store of express-session that keeps sessions in the session API. */
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

  /** Lists the sessions of a user, newest first. The one with this id is the current one. */
  devices(user: User, sid?: string): Promise<Device[]>;
  /** Ends one session of a user. Returns whether it was there. */
  logoutDevice(user: User, handle: string): Promise<boolean>;
  /** Ends all sessions of a user except the one with this id. Returns how many there were. */
  logoutOtherDevices(user: User, sid: string): Promise<number>;
  /** Ends all sessions of a user. Returns how many there were. */
  logoutEverywhere(user: User): Promise<number>;
}

/** The session API didn't respond, or not as it should. Express responds with status 503. */
export class Unavailable extends Error {
  readonly code: string;
  readonly status: 503;
}

/** Another request holds the lock of the session, or has taken it. */
export class Locked extends Unavailable {}
