import { HealthCheckResponse_ServingStatus, type Health } from '@kata-agent/protocol/health';
import type { ServiceImplementation } from '@kata-agent/ttrpc';
import type { Caller } from '../caller/caller.js';
import { version } from '../version.js';

/** The ttRPC API version that Kata's agent always reports. */
const grpcVersion = '0.0.1';

/** The health service. It is never gated: it reveals nothing and changes nothing. */
export const health: ServiceImplementation<typeof Health, Caller> = {
  check: async () => ({ status: HealthCheckResponse_ServingStatus.SERVING }),
  version: async () => ({ grpcVersion, agentVersion: version }),
};
