export type { Guest, GuestDescription, Guests, Relay } from './guests/guest.js';
export { type Operator, type Verb, verbs } from './authorization/operator.js';
export type { OperatorsService, RealmBackend } from './serve/realm-backend.js';
export { createRealmLog, type RealmLog } from './serve/realm-log.js';
export { RealmFileError } from './serve/read-files.js';
export type { Realm, RealmOptions } from './serve/realm-options.js';
export { ListenError, startRealm } from './serve/start-realm.js';
export { StoreError } from './store/store-error.js';
export { noOperators } from './serve/no-operators.js';
