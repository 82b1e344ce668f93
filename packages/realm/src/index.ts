export type { Guest, GuestDescription, Guests, Relay } from './guests/guest.js';
export { type Operator, type Verb, verbs } from './authorization/operator.js';
export type { OperatorContext, OperatorRequest, ServeOperator } from './serve/serve-operator.js';
export { createRealmLog, type RealmLog } from './serve/realm-log.js';
export { RealmFileError } from './serve/read-files.js';
export type { Realm, RealmOptions } from './serve/realm-options.js';
export { ListenError, startRealm } from './serve/start-realm.js';
export { StoreError } from './store/store-error.js';
export { serveNothing } from './serve/serve-nothing.js';
