export { Locked, SessionApiStore, Unavailable } from './index.js';
