// Compiled, never run: the types fit those of express-session.
import session from 'express-session';
import { SessionApiStore, Unavailable, type Device } from '@session-api/express';

const store: session.Store = new SessionApiStore({
  lock: 5,
  user: ({ cookie }) => (cookie.secure ? 'ada' : undefined),
  label: (request) => request.headers['user-agent'],
});
session({ secret: 'of the tests', store });

export async function devices(sessions: SessionApiStore): Promise<Device[]> {
  const data: session.SessionData | null = await sessions.get('id');
  if (data === null) {
    throw new Unavailable('no session');
  }
  return sessions.devices('ada');
}
