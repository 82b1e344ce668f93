export { callAtEnd, keepAliveMs, unacknowledgedMs } from './timeouts.js';
export { MeasuredStream, Turns } from './measured-stream.js';
export { HandshakeServers } from './handshake-servers.js';
export { Slots } from './slots.js';
export { addressGroup, Penalties, PreAuthLimiter, type PreAuthOptions } from './pre-auth-limiter.js';
