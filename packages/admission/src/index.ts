export { addressGroup } from './address-group.js';
export { callAtEnd } from './call-at-end.js';
export { Penalties } from './penalties.js';
export { Slots } from './slots.js';
