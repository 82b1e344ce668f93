export { addressGroup } from './address-group.js';
export { callAtEnd } from './call-at-end.js';
export { keepAliveMs, unacknowledgedMs } from './lost-peers.js';
export { MeasuredStream } from './measured-stream.js';
export { HandshakeServers } from './handshake-servers.js';
export { Penalties } from './penalties.js';
export { Slots } from './slots.js';
export { PreAuthLimiter, type PreAuthOptions } from './pre-auth-limiter.js';
export { Turns } from './turns.js';
