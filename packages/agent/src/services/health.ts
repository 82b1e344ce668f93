import { HealthCheckResponse_ServingStatus, type Health } from '@kata-agent/protocol/health';
import type { ServiceImplementation } from '@kata-agent/ttrpc';
import type { Caller } from '../listeners/caller.js';
import { version } from '../version.js';

/** The version of the ttRPC API that Kata's agent has always told. */
const grpcVersion = '0.0.1';

/** The health service. It is never gated: it says nothing and changes nothing. */
export const health: ServiceImplementation<typeof Health, Caller> = {
  check: async () => ({ status: HealthCheckResponse_ServingStatus.SERVING }),
  version: async () => ({ grpcVersion, agentVersion: version }),
};
