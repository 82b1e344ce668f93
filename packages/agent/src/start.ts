import { AuditUnavailable, openAuditLog } from '@kata-agent/audit';
import { type Configuration, renderDiagnostic } from '@kata-agent/config';
import { Guest, type OutputPolicy } from '@kata-agent/guest';
import type { Syscalls } from '@kata-agent/linux';
import { readFileSync } from 'node:fs';
import type { Socket } from 'node:net';
import { join } from 'node:path';
import { agentGate } from './agent-gate.js';
import { buildFacts } from './build-facts.js';
import { CannotApply } from './cannot-apply.js';
import { checkDevelopmentFlags, type DevelopmentFlags } from './development-flags.js';
import { Doors } from './doors/doors.js';
import { Ending, Stopped } from './ending.js';
import { guestOptions } from './guest-options.js';
import { harden, ownsKernel } from './init/harden.js';
import { ModuleLock } from './init/module-lock.js';
import type { Caller } from './listeners/caller.js';
import { KeptPolicies } from './kept-policies.js';
import { listen } from './listeners/listen.js';
import type { Log } from './log.js';
import type { LogStream } from './log-stream/log-stream.js';
import { measureConfiguration } from './measure.js';
import { startMemoryAgent } from './memory-agent.js';
import { demandRuntime, findRuntime } from './oci-runtime.js';
import { protectFromOomKiller } from './oom-score.js';
import { Policy } from './policy.js';
import { makeMountsPrivate } from './private-mounts.js';
import { Readers } from './readers.js';
import { presentContainers } from './present-containers.js';
import { restorePolicies } from './restore-policies.js';
import { agentServer } from './server.js';
import { defaultStateDirectory, takeStateDirectory } from './state/state-directory.js';
import { largestAuditLog, mountStateFileSystem } from './state/state-file-system.js';
import { version } from './version.js';

/** An agent that listens. */
export interface RunningAgent {
  /** Resolves when the end is complete: no new calls, the running ones answered, the guest's work undone, the record closed. */
  readonly ended: Promise<void>;
}

/**
 * Brings an agent up under a configuration. The state directory is taken before anything in it is read, so that two agents
 * never share one. After that the order is the promise of S7: what was loaded is measured before anything of it is in force, the record is open and holds it before a listener opens, and nothing after
 * that changes the configuration.
 *
 * @throws CannotApply when a flag for development is given where it may not be, and when the state directory, the measurement, the address, the audit log or the guest cannot be had; as PID 1 also when there is
 *   no OCI runtime. Stopped when the end was asked for before it listens. Nothing is left in either case.
 */
export async function startAgent(
  configuration: Configuration,
  environment: {
    readonly syscalls: Syscalls;
    readonly log: Log;
    readonly logStream: LogStream;
    readonly isFirstProcess: boolean;
    readonly flags: DevelopmentFlags;
    /** Told how to end the agent in order, as soon as there is anything to be ended. */
    readonly onStop: (end: (reason: string) => void) => void;
  },
): Promise<RunningAgent> {
  const { log, syscalls, logStream, isFirstProcess, flags, onStop } = environment;
  const { audit: record } = configuration;
  protectFromOomKiller(log);
  for (const warning of configuration.warnings) log('warn', renderDiagnostic(warning));
  checkDevelopmentFlags(flags, { isFirstProcess, configuration });
  const state = flags.stateDirectory ?? defaultStateDirectory;
  await takeStateDirectory(state, syscalls);
  if (process.getuid?.() === 0) await separateFromGuest(state, configuration, { syscalls, log });
  const boot = bootId();
  const measured = await measureConfiguration(configuration, { bootId: boot, log });
  const hardens = configuration.settings.harden ?? ownsKernel();
  const hardened = hardens ? harden(log) : [];
  const ending = new Ending(log);
  onStop((reason) => ending.ask(reason));
  const opened: { guest?: Guest } = {};
  const audit = await openAuditLog({
    ...record,
    bootId: boot,
    present: () => opened.guest && presentContainers(opened.guest),
    allocate: (descriptor, offset, length) => syscalls.allocate(descriptor, offset, length),
  }).catch((error: unknown) => {
    throw error instanceof AuditUnavailable ? new CannotApply(error.message, { cause: error }) : error;
  });
  ending.last('audit log', () => audit.close());
  if (!audit.hasReserve)
    log(
      'warn',
      'the file system of the audit log cannot reserve space: once it is full, nothing is ended either',
      {
        file: record.file,
      },
    );
  try {
    ending.check();
    await audit.boot({ ...bootFacts(configuration), measured, hardened });
    const policy = await Policy.of(agentGate(configuration), configuration);
    const runtime = findRuntime(configuration.settings.ociRuntime, process.env);
    const servesContainers = configuration.listeners.some(({ name }) =>
      policy.served(name).includes('CreateContainer'),
    );
    demandRuntime(runtime, { isFirstProcess, servesContainers });
    const keptPolicies = KeptPolicies.open(join(state, 'policies.json'), boot);
    await restorePolicies(keptPolicies, policy, log);
    const readers = new Readers(policy, configuration.listeners);
    const readable: OutputPolicy['readable'] = (stream) => readers.mayRead(stream, guest);
    const guest = await Guest.open(
      guestOptions(configuration, { syscalls, runtime, readable, state, log }),
    ).catch((error: Error) => {
      throw new CannotApply(`the guest's work cannot begin: ${error.message}`, { cause: error });
    });
    opened.guest = guest;
    const memoryAgent = startMemoryAgent(configuration, guest);
    const doors = new Doors(configuration, { syscalls, log, audit, logStream });
    const server = agentServer({
      configuration,
      services: {
        guest,
        policy,
        keptPolicies,
        memoryAgent,
        stdioDoor: doors.stdio,
        moduleLock: hardens ? new ModuleLock({ log }) : undefined,
        end: () => ending.ask('DestroySandbox'),
      },
      audit,
      log,
    });
    // Taken down in reverse: the guest's end answers the calls that wait for a process, and the server sends the answers.
    ending.last('server', () => server.end());
    ending.last('guest', () => guest.shutdown());
    ending.last('memory agent', async () => memoryAgent?.stop());
    ending.check();
    await doors.open((name, close) => ending.last(name, close));
    const serve = (stream: Socket, caller: Caller) => {
      readers.joined(caller);
      stream.once('close', () => readers.left(caller));
      server.serve(stream, caller);
    };
    for (const settings of configuration.listeners) {
      const { name, address } = settings;
      const { connections } = configuration.limits;
      ending.check();
      const listener = await listen({ ...settings, connections, syscalls, log, audit, serve });
      ending.last(`listener ${name}`, () => listener.close());
      log('info', 'listening', { listener: name, address, served: policy.served(name).length });
    }
    guest.askRuntime();
    ending.ready();
    return { ended: ending.done };
  } catch (error) {
    ending.begin(error instanceof Stopped ? error.message : 'start failed');
    await ending.done;
    throw error;
  }
}

/** Before the first mount of a request: nothing that one makes reaches the agent's files, and nothing of the agent is filled by it. */
async function separateFromGuest(
  state: string,
  { audit, limits }: Configuration,
  { syscalls, log }: { readonly syscalls: Syscalls; readonly log: Log },
): Promise<void> {
  if (makeMountsPrivate(syscalls)) log('info', "the guest's mounts are private now: they were shared");
  if (state !== defaultStateDirectory) return;
  const auditBytes = audit.file.startsWith(`${state}/`) ? largestAuditLog(audit, limits) : 0;
  // Its lock is another one than that of the directory below.
  if (mountStateFileSystem(state, auditBytes, syscalls)) await takeStateDirectory(state, syscalls);
}

/** What the first record of a boot holds (docs/configuration.md, "What is recorded"). */
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
