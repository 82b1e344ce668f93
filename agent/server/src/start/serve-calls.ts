import { limitUnacknowledged } from '@kata-agent/linux';
import type { Socket } from 'node:net';
import { join } from 'node:path';
import type { Backend, PreparedBackend } from '../backend/backend.js';
import type { Caller } from '../caller.js';
import type { Attester } from '../evidence/attester.js';
import { ConnectionRecords } from '../listeners/connections.js';
import { listen } from '../listeners/listen.js';
import type { TlsListeners } from '../listeners/tls/tls-listeners.js';
import { Policy } from '../policy/policy.js';
import { persistInitdataPolicy, restorePolicies, SavedPolicies } from '../policy/set-policy.js';
import { Readers } from '../readers.js';
import { type AgentServer, agentServer } from '../server.js';
import { SideChannels } from '../side-channels/side-channels.js';
import { policyOfInitdata } from '../startup/write-initdata.js';
import type { Witnesses } from '../witnesses/witnesses.js';
import type { AgentStart } from './agent-start.js';
import type { OpenedAudit } from './record-boot.js';
import type { Measured } from './settle-guest.js';

/** The time after which what only the start needed has been freed, in ms. */
const settledMs = 1_000;

export interface InForce {
  readonly policy: Policy;
  readonly savedPolicies: SavedPolicies;
}

/** Compiles the configuration into decisions, and applies the policies that an earlier agent of this boot was given. */
export async function restorePolicy({
  configuration,
  log,
  state,
  measured: { bootId },
}: AgentStart & {
  readonly state: string;
  readonly measured: Measured;
  readonly attester: Attester | undefined;
}): Promise<InForce> {
  const policy = await Policy.of(configuration);
  const savedPolicies = SavedPolicies.open(join(state, 'policies.json'), bootId);
  await restorePolicies(savedPolicies, policy, log);
  persistInitdataPolicy(policyOfInitdata(configuration), savedPolicies);
  return { policy, savedPolicies };
}

export interface OpenedBackend {
  readonly backend: Backend;
  readonly readers: Readers;
  readonly sideChannels: SideChannels;
  readonly connectionRecords: ConnectionRecords;
}

/** Opens the guest, with the containers of an earlier agent, or connects to the inner agent. */
export async function openBackend({
  configuration,
  syscalls,
  log,
  logStream,
  shutdown,
  opened: { audit, later },
  prepared,
  inForce: { policy, savedPolicies },
}: AgentStart & {
  readonly opened: OpenedAudit;
  readonly prepared: PreparedBackend;
  readonly inForce: InForce;
}): Promise<OpenedBackend> {
  const readers = new Readers(policy, configuration.listeners);
  const sideChannels = new SideChannels(configuration, { syscalls, log, audit, logStream });
  const connectionRecords = new ConnectionRecords(audit);
  shutdown.onStop('records of connections', () => connectionRecords.close());
  const backend = await prepared.open({
    policy,
    savedPolicies,
    readers,
    sideChannels,
    records: connectionRecords,
    end: () => shutdown.request('DestroySandbox'),
    check: () => shutdown.check(),
  });
  later.backend = backend;
  return { backend, readers, sideChannels, connectionRecords };
}

/** Puts gate, rules, audit log and backend together. Returns what serves a connection. */
export function assembleServer({
  configuration,
  log,
  shutdown,
  measured: { bootId },
  opened: { audit },
  tls,
  witnesses,
  attester,
  inForce: { policy },
  served: { backend, readers },
}: AgentStart & {
  readonly measured: Measured;
  readonly opened: OpenedAudit;
  readonly tls: TlsListeners | undefined;
  readonly witnesses: Witnesses | undefined;
  readonly attester: Attester | undefined;
  readonly inForce: InForce;
  readonly served: OpenedBackend;
}): AgentServer['serve'] {
  const server = agentServer({
    configuration,
    bootId,
    readers,
    revocations: tls?.revocations,
    witnesses,
    attester,
    backend,
    policy,
    audit,
    log,
  });
  // Stopped in reverse order: the guest's end answers calls that wait for a process, and the server sends the
  // answers.
  shutdown.onStop('server', () => server.end());
  for (const { name, end } of backend.parts) shutdown.onStop(name, end);
  return (stream: Socket, caller: Caller) => {
    readers.joined(caller);
    stream.once('close', () => {
      readers.left(caller);
      backend.left(caller);
    });
    return server.serve(stream, caller);
  };
}

/** Opens the side channels of the configuration. */
export async function openSideChannels({
  shutdown,
  served: { sideChannels },
}: AgentStart & { readonly served: OpenedBackend; readonly serve: AgentServer['serve'] }): Promise<void> {
  shutdown.check();
  await sideChannels.open((name, close) => shutdown.onStop(name, close));
}

/** Opens the listeners. */
export async function openListeners({
  configuration,
  syscalls,
  log,
  shutdown,
  opened: { audit },
  tls,
  inForce: { policy },
  serve,
}: AgentStart & {
  readonly opened: OpenedAudit;
  readonly tls: TlsListeners | undefined;
  readonly inForce: InForce;
  readonly serve: AgentServer['serve'];
  readonly sideChannelsOpen: void;
}): Promise<void> {
  for (const settings of configuration.listeners) {
    const { name, address, dial } = settings;
    if (dial !== undefined) continue;
    shutdown.check();
    const options = { ...settings, log, audit, serve };
    const listener =
      settings.tls === undefined || tls === undefined
        ? await listen({ ...options, syscalls, lends: true })
        : await tls.listen({ ...options, tls: settings.tls });
    shutdown.onStop(`listener ${name}`, () => listener.close());
    log('info', 'listening', { listener: name, address, served: policy.served(name).length });
  }
}

/** Dials the servers of the configuration. */
export async function dialServers({
  configuration,
  syscalls,
  log,
  shutdown,
  opened: { audit },
  tls,
  inForce: { policy },
  served: { connectionRecords },
  serve,
}: AgentStart & {
  readonly opened: OpenedAudit;
  readonly tls: TlsListeners | undefined;
  readonly inForce: InForce;
  readonly served: OpenedBackend;
  readonly serve: AgentServer['serve'];
  readonly listening: void;
}): Promise<void> {
  for (const settings of configuration.listeners) {
    const { name, address, dial } = settings;
    if (dial === undefined || tls === undefined) continue;
    shutdown.check();
    const listener = await tls.dial({
      ...settings,
      dial,
      records: connectionRecords,
      audit,
      log,
      limitUnacknowledged: (stream, limitMs) => limitUnacknowledged(syscalls, stream, limitMs),
      serve,
    });
    shutdown.onStop(`listener ${name}`, () => listener.close());
    listener.start();
    log('info', 'dialling', { listener: name, address, served: policy.served(name).length });
  }
}

/** Starts what works beside calls. A shutdown that was requested meanwhile begins. */
export function finish({
  syscalls,
  shutdown,
  witnesses,
  served: { backend },
}: AgentStart & {
  readonly witnesses: Witnesses | undefined;
  readonly served: OpenedBackend;
  readonly dialled: void;
}): void {
  witnesses?.start();
  backend.listening();
  shutdown.ready();
  // Compiling the program needs more memory than what follows, and malloc keeps it.
  setTimeout(() => syscalls.releaseFreedMemory(), settledMs).unref();
}
