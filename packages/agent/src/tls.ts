/** The TLS engine, which no listener uses yet, exported for its tests. */
export { TlsSettingError } from './listeners/tls/client-ca.js';
export { makeOwnIdentity, type OwnIdentity } from './listeners/tls/own-identity.js';
export { Revocations, TooManyRevocations } from './listeners/tls/revocations.js';
export {
  createTlsEngine,
  type TlsEngine,
  type TlsEngineOptions,
  type TlsPeer,
} from './listeners/tls/tls-engine.js';
export type { TlsRefusal, TlsRefusalReason } from './listeners/tls/tls-refusal.js';
