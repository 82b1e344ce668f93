import { AuditUnavailable, openAuditLog } from '@kata-agent/audit';
import { type Configuration, renderDiagnostic } from '@kata-agent/config';
import { Guest } from '@kata-agent/guest';
import type { Syscalls } from '@kata-agent/linux';
import { readFileSync } from 'node:fs';
import { agentGate } from './agent-gate.js';
import { buildFacts } from './build-facts.js';
import { CannotApply } from './cannot-apply.js';
import { Ending } from './ending.js';
import { guestOptions } from './guest-options.js';
import { defaultListener } from './listeners/default-listener.js';
import { listen } from './listeners/listen.js';
import type { Log } from './log.js';
import { protectFromOomKiller } from './oom-score.js';
import { Policy } from './policy.js';
import { agentServer } from './server.js';
import { version } from './version.js';

/** An agent that listens. */
export interface RunningAgent {
  /** Where it listens, in the form of `server_addr`. */
  readonly address: string;
  /** Begins the end: no new calls, the running ones answered, the guest's work undone, the record closed. */
  readonly end: (reason: string) => void;
  /** Resolves when the end is complete. */
  readonly ended: Promise<void>;
}

/**
 * Brings an agent up under a configuration. The order is the promise of S7: the record is open and holds what was
 * loaded before a listener opens, and nothing after that changes the configuration.
 *
 * @throws CannotApply when the address, the audit log or the guest cannot be had.
 */
export async function startAgent(
  configuration: Configuration,
  environment: { readonly syscalls: Syscalls; readonly log: Log },
): Promise<RunningAgent> {
  const { log, syscalls } = environment;
  const { audit: record, settings, limits } = configuration;
  protectFromOomKiller(log);
  for (const warning of configuration.warnings) log('warn', renderDiagnostic(warning));
  const audit = await openAuditLog({ ...record, bootId: bootId() }).catch((error: unknown) => {
    throw error instanceof AuditUnavailable ? new CannotApply(error.message, { cause: error }) : error;
  });
  const ending = new Ending(log);
  ending.last('audit log', () => audit.close());
  try {
    await audit.boot(bootFacts(configuration));
    const policy = new Policy(agentGate(configuration), [defaultListener]);
    const guest = await Guest.open(guestOptions(configuration, { syscalls, policy, log })).catch(
      (error: Error) => {
        throw new CannotApply(`the guest's work cannot begin: ${error.message}`, { cause: error });
      },
    );
    const server = agentServer({
      configuration,
      services: { guest, policy, end: () => ending.begin('DestroySandbox') },
      audit,
      log,
    });
    // Taken down in reverse: the guest's end answers the calls that wait for a process, and the server sends the answers.
    ending.last('server', () => server.end());
    ending.last('guest', () => guest.shutdown());
    const listener = await listen({
      name: defaultListener,
      address: settings.serverAddr,
      connections: limits.connections,
      syscalls,
      log,
      serve: (stream, caller) => server.serve(stream, caller),
    });
    ending.last('listener', () => listener.close());
    log('info', 'listening', { address: settings.serverAddr, served: policy.served(defaultListener).length });
    return { address: settings.serverAddr, end: (reason) => ending.begin(reason), ended: ending.done };
  } catch (error) {
    ending.begin('start failed');
    await ending.done;
    throw error;
  }
}

/** What the first record of a boot holds (CONFIGURATION, "What is recorded"). */
function bootFacts(configuration: Configuration): Readonly<Record<string, unknown>> {
  return {
    version,
    leftOut: buildFacts.leftOut,
    digest: configuration.digest,
    documents: configuration.documents,
    ignoredOverrides: configuration.ignoredOverrides,
    restricted: configuration.restricted,
  };
}

function bootId(): string {
  return readFileSync('/proc/sys/kernel/random/boot_id', 'utf8').trim();
}
