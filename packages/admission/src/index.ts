export { addressGroup } from './address-group.js';
export { callAtEnd } from './call-at-end.js';
export { keepAliveMs, unacknowledgedMs } from './lost-peers.js';
export { Penalties } from './penalties.js';
export { Slots } from './slots.js';
