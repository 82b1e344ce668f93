// The agent's own gate, rules, audit records and listener for a process that has a guest of its own: exported for tests of what the agent
// decides, which need neither root nor containers.
import { randomUUID } from 'node:crypto';
import type { Message } from '@bufbuild/protobuf';
import type { AuditLog } from '@kata-agent/audit';
import { endpoints, isMethodName } from '@kata-agent/catalogue';
import type { Configuration } from '@kata-agent/config';
import type { Guest } from '@kata-agent/guest';
import { loadSyscalls } from '@kata-agent/linux';
import { AgentService } from '@kata-agent/protocol/agent';
import { type HandlerContext, service, type ServiceImplementation } from '@kata-agent/ttrpc';
import { execDefaults } from './interceptors/normalize-requests.js';
import { beginOf } from './interceptors/call-values.js';
import { translateFailures } from './interceptors/translate-failures.js';
import type { Caller } from './caller.js';
import { listen } from './listeners/listen.js';
import { Policy } from './policy/policy.js';
import { Readers } from './readers.js';
import { agentServer } from './server.js';

/** A guest: its state for rules, and its effects. */
export interface InProcessGuest
  extends Pick<Guest, 'containerStatus' | 'sandboxStatus' | 'noteReader' | 'execDefaults'> {
  /**
   * Called when a call is allowed and its intent is on disk (S19). Returns the members of the reply.
   *
   * @throws TtrpcError if the guest fails
   */
  perform(method: string, request: Message): Readonly<Record<string, unknown>>;
}

/** Listeners that are open. */
export interface InProcessAgent {
  /** Answers running calls, and closes listeners and connections. */
  close(): Promise<void>;
}

/**
 * Serves a configuration on its listeners, which have unix addresses and no TLS.
 *
 * @throws CannotApply if an address is not available
 */
export async function serveInProcess(options: {
  readonly configuration: Configuration;
  readonly guest: InProcessGuest;
  readonly audit: AuditLog;
}): Promise<InProcessAgent> {
  const { configuration, guest, audit } = options;
  const policy = await Policy.of(configuration);
  const log = (): void => undefined;
  const server = agentServer({
    configuration,
    backend: {
      status: guest,
      containers: () => undefined,
      complete: execDefaults(guest),
      around: translateFailures,
      services: () => [service(AgentService, handlersOf(guest))],
    },
    policy,
    readers: new Readers(policy, configuration.listeners),
    audit,
    bootId: randomUUID(),
    log,
  });
  const syscalls = loadSyscalls();
  const listeners = await Promise.all(
    configuration.listeners.map((settings) =>
      listen({
        ...settings,
        syscalls,
        log,
        audit,
        serve: (stream, caller) => server.serve(stream, caller),
        lends: true,
      }),
    ),
  );
  return {
    close: async () => {
      await Promise.all(listeners.map((listener) => listener.close()));
      await server.end();
    },
  };
}

function handlersOf(guest: InProcessGuest): ServiceImplementation<typeof AgentService, Caller> {
  return Object.fromEntries(
    AgentService.methods.map(({ localName, name }) => [
      localName,
      async (request: Message, context: HandlerContext<Caller>) => {
        if (isMethodName(name) && endpoints[name].changes) await beginOf(context)();
        return guest.perform(name, request);
      },
    ]),
  ) as unknown as ServiceImplementation<typeof AgentService, Caller>;
}
