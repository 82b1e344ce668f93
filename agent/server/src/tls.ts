/** The TLS engine, outgoing connections, witnesses, and the clock by which both check certificates, exported for their tests. */
export { raiseClock } from './startup/clock-floor.js';
export { TlsSettingError } from './listeners/tls/client-ca.js';
export { DialOut, type DialOutOptions } from './listeners/dial/dial-out.js';
export { serverContext, type ServerOptions } from './listeners/dial/connect-server.js';
export { postCheckpoint } from './witnesses/post-checkpoint.js';
export { WitnessClient, type WitnessClientOptions } from './witnesses/witness-client.js';
export { makeOwnIdentity, type OwnIdentity } from './listeners/tls/tls-identity.js';
export { Revocations } from './listeners/tls/revocations.js';
export {
  createTlsEngine,
  type TlsEngine,
  type TlsEngineOptions,
  type TlsPeer,
} from './listeners/tls/tls-engine.js';
export type { TlsRefusal, TlsRefusalReason } from './listeners/tls/authenticate.js';
