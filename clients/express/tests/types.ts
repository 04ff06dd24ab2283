// Compiled, never run: checks that our types fit those of express-session.
import type { AwsCredentialIdentityProvider } from '@smithy/types';
import session from 'express-session';
import { SessionApiStore, Unavailable, type Device } from '@session-api/express';

const store: session.Store = new SessionApiStore({
  functionUrls: process.env.SESSION_API_FUNCTION_URLS,
  lock: 5,
  lease: 20,
  maxSessions: 3,
  credentials: fromEnv(),
  user: ({ cookie }) => (cookie.secure ? 'ada' : undefined),
  label: (request) => request.headers['user-agent'],
});
session({ secret: 'of the tests', store });

declare function fromEnv(): AwsCredentialIdentityProvider;

new SessionApiStore({ user: () => 42, credentials: { accessKeyId: 'key', secretAccessKey: 'secret' } });

export async function devices(sessions: SessionApiStore): Promise<Device[]> {
  const data: session.SessionData | null = await sessions.get('id');
  if (data === null) {
    throw new Unavailable('no session');
  }
  return sessions.devices('ada');
}
