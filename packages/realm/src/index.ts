export type { Guest, GuestDescription, Guests, Relay } from './guests/guest.js';
export { type Operator, type Verb, verbs } from './authorization/operator.js';
