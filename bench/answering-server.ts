import type { AuditLog } from '@kata-agent/audit';
import type { Configuration } from '@kata-agent/config';
import { authorizerOf } from '@kata-agent/gate';

import type * as guestBackendModule from '../agent/server/src/backend/guest-backend.js';
import type * as policyModule from '../agent/server/src/policy/policy.js';
import type * as serverModule from '../agent/server/src/server.js';
import { agentModule } from './agent-module.js';

type Options = Parameters<typeof serverModule.agentServer>[0];

/**
 * Creates the agent's own gate, log and interceptors (agent/server/src/server.ts), with a guest that answers at once, as
 * Go's bench-server does.
 */
export async function answeringServer(
  configuration: Configuration,
  audit: AuditLog,
  revocations?: Options['revocations'],
): Promise<serverModule.AgentServer> {
  const { agentServer } = await agentModule<typeof serverModule>('server.js');
  const { guestBackend } = await agentModule<typeof guestBackendModule>('backend/guest-backend.js');
  const { Policy } = await agentModule<typeof policyModule>('policy/policy.js');
  const output = Buffer.alloc(2 ** 20);
  const everyProcess = {
    wait: () => Promise.resolve(7),
    streams: { read: (_stream: string, length: number) => Promise.resolve(output.subarray(0, length)) },
  };
  const guest = { process: () => everyProcess, containers: new Map<string, never>() };
  const policy = new Policy(authorizerOf(configuration));
  type Services = Parameters<typeof guestBackend>[0];
  const services = { guest, policy, end: () => undefined } as unknown as Services;
  return agentServer({
    configuration,
    backend: guestBackend(services),
    policy,
    readers: { named: () => undefined },
    audit,
    bootId: 'bench',
    log: () => undefined,
    ...(revocations === undefined ? {} : { revocations }),
  });
}
