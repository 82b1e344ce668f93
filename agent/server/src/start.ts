import { AuditUnavailable, openAuditLog } from '@kata-agent/audit';
import { type Configuration, renderDiagnostic } from '@kata-agent/config';
import { limitUnacknowledged, type Syscalls } from '@kata-agent/linux';
import { readFileSync } from 'node:fs';
import type { Socket } from 'node:net';
import { join } from 'node:path';
import { type Backend, loadBackend } from './backend/backend.js';
import { buildFacts } from './build-facts.js';
import { CannotApply } from './cannot-apply.js';
import {
  loadAttester,
  loadBuiltInPuller,
  loadCheckpointRegister,
  loadTls,
  loadWitnesses,
} from './optional-parts.js';
import { clockFloor, raiseClock } from './startup/clock-floor.js';
import { checkDevelopmentFlags, type DevelopmentFlags } from './startup/development-flags.js';
import { SideChannels } from './side-channels/side-channels.js';
import { Shutdown, Stopped } from './startup/shutdown.js';
import { type GuestComponents, loadGuestComponents } from './components/load-guest-components.js';
import { harden, ownsKernel } from './init/harden.js';
import type { Caller } from './caller.js';
import { persistInitdataPolicy, restorePolicies, SavedPolicies } from './policy/set-policy.js';
import { writeInitdata, policyOfInitdata } from './startup/write-initdata.js';
import { listen } from './listeners/listen.js';
import { ConnectionRecords } from './listeners/connections.js';
import type { Log } from './log.js';
import { createLogSigner } from './startup/log-signer.js';
import type { LogStream } from './side-channels/log-stream.js';
import { mountExtensions } from './startup/mount-extensions.js';
import { measureConfiguration } from './measurement/measure.js';
import { protectFromOomKiller } from './startup/oom-score.js';
import { Policy } from './policy/policy.js';
import { makeMountsPrivate } from './startup/private-mounts.js';
import { Readers } from './readers.js';
import { agentServer } from './server.js';
import { persistDeliveredDocuments } from './state/delivered-documents.js';
import { defaultStateDirectory, takeStateDirectory } from './state/state-directory.js';
import { largestAuditLog, mountStateFileSystem } from './state/state-file-system.js';
import { version } from './version.js';
import type { Witnesses } from './witnesses/witnesses.js';

/** The time after which what only the start needed has been freed, in ms. */
const settledMs = 1_000;

/** A running agent. */
export interface RunningAgent {
  /**
   * Resolves when the agent has ended: no new calls, running calls answered, the guest's resources released, the audit
   * log closed.
   */
  readonly ended: Promise<void>;
}

/**
 * Starts an agent with a configuration. The state directory is locked before anything in it is read, so that two agents
 * never share one. Then the order is that of S7: the configuration is measured before it takes effect; the audit log is
 * open and has its record before a listener opens; and nothing after that changes the configuration.
 *
 * @throws CannotApply if a development flag is not permitted, if an extension image is refused, if state directory, measurement, address, audit log or
 * guest are not available, and as PID 1 also without an OCI runtime. Stopped if the end was requested before it
 * listens. Everything is released in either case.
 */
export async function startAgent(
  configuration: Configuration,
  environment: {
    readonly syscalls: Syscalls;
    readonly log: Log;
    readonly logStream: LogStream;
    readonly isFirstProcess: boolean;
    readonly flags: DevelopmentFlags;
    /** Receives the function that ends the agent in order, as soon as there is anything to end. */
    readonly onStop: (end: (reason: string) => void) => void;
  },
): Promise<RunningAgent> {
  const { log, syscalls, logStream, isFirstProcess, flags, onStop } = environment;
  const { audit: record } = configuration;
  protectFromOomKiller(log);
  for (const warning of configuration.warnings) log('warn', renderDiagnostic(warning));
  checkDevelopmentFlags(flags, { isFirstProcess, configuration });
  const floor = clockFloor(configuration);
  // Before anything is checked or recorded by the clock.
  const clock =
    floor === undefined
      ? undefined
      : raiseClock(floor, { syscalls, log, ownsKernel: ownsKernel(), now: Date.now });
  const state = flags.stateDirectory ?? defaultStateDirectory;
  await takeStateDirectory(state, syscalls);
  if (process.getuid?.() === 0) await separateFromGuest(state, configuration, { syscalls, log });
  const boot = bootId();
  const measured = await measureConfiguration(configuration, { bootId: boot, log });
  persistDeliveredDocuments(configuration, join(state, 'delivered.json'), boot);
  writeInitdata(configuration, log);
  const extensions = await mountExtensions(configuration, {
    kernelCommandLine: readFileSync('/proc/cmdline', 'utf8'),
    syscalls,
    log,
  });
  const { harden: wanted = ownsKernel(), forward } = configuration.settings;
  const hardens = wanted && forward === undefined;
  const hardened = hardens ? harden(log) : [];
  const shutdown = new Shutdown(log);
  onStop((reason) => shutdown.request(reason));
  const opened: { backend?: Backend; witnesses?: Witnesses } = {};
  const signer = createLogSigner();
  const audit = await openAuditLog({
    ...record,
    bootId: boot,
    signer,
    onTree: (size) => opened.witnesses?.written(size),
    onCheckpointFailure: ({ message: error }) =>
      log('warn', 'a checkpoint of the audit log was not written', { file: record.file, error }),
    present: () => opened.backend?.present(),
    allocate: (descriptor, offset, length) => syscalls.allocate(descriptor, offset, length),
  }).catch((error: unknown) => {
    throw error instanceof AuditUnavailable ? new CannotApply(error.message, { cause: error }) : error;
  });
  shutdown.onStop('audit log', () => audit.close());
  if (!audit.hasReserve)
    log(
      'warn',
      'the file system of the audit log cannot reserve space: once it is full, nothing can be ended either',
      {
        file: record.file,
      },
    );
  try {
    shutdown.check();
    // Their configuration is in force and measured, and no container runs yet.
    const components = await loadGuestComponents(configuration, log);
    shutdown.onStop('guest components', () => components.stop());
    const images =
      (await loadBuiltInPuller(configuration, { syscalls, components, log })) ?? components.puller;
    const prepared = await loadBackend({
      configuration,
      components,
      images,
      syscalls,
      log,
      state,
      isFirstProcess,
      hardens,
    });
    const facts = { ...bootFacts(configuration, components), measured, hardened, ...prepared.facts };
    const tls = await loadTls(configuration, floor);
    // Before the first record, from which on `required_within` counts.
    const witnesses = await loadWitnesses({ configuration, audit, logKey: signer.verifier, tls, log });
    if (witnesses !== undefined) {
      opened.witnesses = witnesses;
      shutdown.onStop('witnesses', () => witnesses.close());
    }
    await audit.boot({
      ...facts,
      ...(clock === undefined ? {} : { clock }),
      ...(extensions.length === 0 ? {} : { extensions }),
      ...(tls === undefined ? {} : { tls: { pin: tls.pin } }),
    });
    const checkpointRegister = await loadCheckpointRegister(configuration, { bootId: boot, audit, log });
    shutdown.onStop('checkpoint register', async () => checkpointRegister?.close());
    const attester = await loadAttester(configuration, {
      bootId: boot,
      keys: { tlsSpki: tls?.spki ?? '', logKey: signer.verifier.toString() },
      audit,
      measured,
      log,
    });
    const policy = await Policy.of(configuration);
    const savedPolicies = SavedPolicies.open(join(state, 'policies.json'), boot);
    await restorePolicies(savedPolicies, policy, log);
    persistInitdataPolicy(policyOfInitdata(configuration), savedPolicies);
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
    opened.backend = backend;
    const server = agentServer({
      configuration,
      bootId: boot,
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
    shutdown.check();
    await sideChannels.open((name, close) => shutdown.onStop(name, close));
    const serve = (stream: Socket, caller: Caller) => {
      readers.joined(caller);
      stream.once('close', () => {
        readers.left(caller);
        backend.left(caller);
      });
      server.serve(stream, caller);
    };
    for (const settings of configuration.listeners) {
      const { name, address, dial } = settings;
      if (dial !== undefined) continue;
      shutdown.check();
      const options = { ...settings, log, audit, serve };
      const listener =
        settings.tls === undefined || tls === undefined
          ? await listen({ ...options, syscalls })
          : await tls.listen({ ...options, tls: settings.tls });
      shutdown.onStop(`listener ${name}`, () => listener.close());
      log('info', 'listening', { listener: name, address, served: policy.served(name).length });
    }
    // Servers are dialled last: an attempt can take long, and no pod waits for one (R14).
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
    witnesses?.start();
    backend.listening();
    shutdown.ready();
    // Compiling the program needs more memory than what follows, and malloc keeps it.
    setTimeout(() => syscalls.releaseFreedMemory(), settledMs).unref();
    return { ended: shutdown.done };
  } catch (error) {
    shutdown.begin(error instanceof Stopped ? error.message : 'start failed');
    await shutdown.done;
    throw error;
  }
}

/**
 * Before the first mount of a request: no such mount reaches the agent's files, and a container cannot fill the agent's
 * file system.
 */
async function separateFromGuest(
  state: string,
  { audit, limits, settings }: Configuration,
  { syscalls, log }: { readonly syscalls: Syscalls; readonly log: Log },
): Promise<void> {
  // The mounts of an inner agent are its own.
  if (settings.forward === undefined && makeMountsPrivate(syscalls))
    log('info', "the guest's mounts were shared; they are private now");
  if (state !== defaultStateDirectory) return;
  const auditBytes = audit.file.startsWith(`${state}/`) ? largestAuditLog(audit, limits) : 0;
  // Its lock is separate from that of the directory below.
  if (mountStateFileSystem(state, auditBytes, syscalls)) await takeStateDirectory(state, syscalls);
}

/** Returns the first record of a boot (docs/configuration.md, "What is recorded"). */
function bootFacts(
  configuration: Configuration,
  components: Pick<GuestComponents, 'started' | 'missing'>,
): Readonly<Record<string, unknown>> {
  const { initdata } = configuration;
  return {
    version,
    leftOut: buildFacts.leftOut,
    digest: configuration.digest,
    documents: configuration.documents,
    ...(configuration.files.length === 0 ? {} : { files: configuration.files }),
    ...(initdata === undefined ? {} : { initdata }),
    ...(components.started.length === 0 ? {} : { guestComponents: components.started }),
    ...(components.missing.length === 0 ? {} : { missingComponents: components.missing }),
    ignoredOverrides: configuration.ignoredOverrides,
    restricted: configuration.restricted,
    heartbeatMs: configuration.audit.heartbeatMs,
  };
}

function bootId(): string {
  return readFileSync('/proc/sys/kernel/random/boot_id', 'utf8').trim();
}
