/** The TLS engine, outgoing connections, and the clock by which both judge, exported for their tests. */
export { raiseClock } from './startup/clock-floor.js';
export { TlsSettingError } from './listeners/tls/client-ca.js';
export { DialOut, type DialOutOptions } from './listeners/dial/dial-out.js';
export { makeOwnIdentity, type OwnIdentity } from './listeners/tls/own-identity.js';
export { Revocations, TooManyRevocations } from './listeners/tls/revocations.js';
export {
  createTlsEngine,
  type TlsEngine,
  type TlsEngineOptions,
  type TlsPeer,
} from './listeners/tls/tls-engine.js';
export type { TlsRefusal, TlsRefusalReason } from './listeners/tls/tls-refusal.js';
