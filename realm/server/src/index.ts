export type { Guest, GuestDescription, Guests, Relay } from './guest.js';
export type { Operator } from './authorization/operator-rights.js';
export { parseAuthorization } from './authorization/parse-authorization.js';
export { createRealmLog, type RealmLog } from './realm-log.js';
export { RealmFileError } from './serve/read-files.js';
export type { Realm, RealmOptions } from './serve/realm-options.js';
export { ListenError } from './serve/running-realm.js';
export { startRealm } from './serve/start-realm.js';
export { BusError } from './bus/bus-options.js';
export { type BusOptions, parseBusServers } from './bus/bus-options.js';
export { StoreError } from './store/own-file.js';
export { collectLogs } from './collector/collector.js';
export type { Collected, CollectedAgent } from './collector/collector.js';
export type { AskRealm } from './collector/stored-records.js';
export { parseSink, type SinkAddress, sinkForms } from './collector/sinks/sink-address.js';
export type { SinkEvent } from './collector/sinks/open-sink.js';
export type { CollectorEvent } from './collector/collector.js';
export type {
  Decision,
  OperatorDecisions,
  GuestLogs,
  OperatorContext,
  OperatorSource,
  StoredGuest,
} from './operators/operator-context.js';
export type { GuestJson } from './operators/guest-answers.js';
export { type OperatorLimits, operatorLimits } from './operators/operator-context.js';
export { operatorHttpsOptions } from './listener/https-options.js';
export { isGuestName } from './operators/operator-request.js';
export { type OperatorCounts, type OperatorHandler, OperatorService } from './operators/operator-service.js';
export type { Revocation } from './http/revocation.js';
