import { type AuditLog, AuditUnavailable, openAuditLog } from '@kata-agent/audit';
import type { Configuration } from '@kata-agent/config';
import type { ImagePuller } from '@kata-agent/guest';
import { type Backend, type PreparedBackend, loadBackend } from '../backend/backend.js';
import { buildFacts } from '../build-facts.js';
import { CannotApply } from '../cannot-apply.js';
import { type GuestComponents, loadGuestComponents } from '../components/load-guest-components.js';
import type { Attester } from '../evidence/attester.js';
import {
  loadAttester,
  loadBuiltInPuller,
  loadTls,
  loadCheckpointRegister,
  loadWitnesses,
} from '../optional-parts.js';
import type { TlsListeners } from '../listeners/tls/tls-listeners.js';
import type { CheckpointRegister } from '../measurement/checkpoint-register.js';
import { createLogSigner } from '../startup/log-signer.js';
import type { ExtensionFact } from '../startup/mount-extensions.js';
import { version } from '../version.js';
import type { Witnesses } from '../witnesses/witnesses.js';
import type { AgentStart } from './agent-start.js';
import type { Clock, Hardened, Measured } from './settle-guest.js';

export interface OpenedAudit {
  readonly audit: AuditLog;
  readonly signer: ReturnType<typeof createLogSigner>;
  /** What the audit log uses of later phases, once they have run. */
  readonly later: { backend?: Backend; witnesses?: Witnesses };
}

/** Opens the audit log. Nothing is in it yet of this start. */
export async function openAudit({
  configuration: { audit: record },
  syscalls,
  log,
  shutdown,
  measured: { bootId },
}: AgentStart & { readonly measured: Measured; readonly stoppable: void }): Promise<OpenedAudit> {
  const later: OpenedAudit['later'] = {};
  const signer = createLogSigner();
  const audit = await openAuditLog({
    ...record,
    bootId,
    signer,
    onTree: (size) => later.witnesses?.written(size),
    onCheckpointFailure: ({ message: error }) =>
      log('warn', 'a checkpoint of the audit log was not written', { file: record.file, error }),
    present: () => later.backend?.present(),
    allocate: (descriptor, offset, length) => syscalls.allocate(descriptor, offset, length),
  }).catch((error: unknown) => {
    throw error instanceof AuditUnavailable ? new CannotApply(error.message, { cause: error }) : error;
  });
  shutdown.onStop('audit log', () => audit.close());
  if (!audit.hasReserve)
    log(
      'warn',
      'the file system of the audit log cannot reserve space: once it is full, nothing can be ended either',
      { file: record.file },
    );
  return { audit, signer, later };
}

export interface StartedComponents {
  readonly components: GuestComponents;
  readonly images: ImagePuller | undefined;
}

/** Starts the guest components that the configuration names, and the image puller. */
export async function startComponents({
  configuration,
  syscalls,
  log,
  shutdown,
}: AgentStart & { readonly opened: OpenedAudit }): Promise<StartedComponents> {
  shutdown.check();
  const components = await loadGuestComponents(configuration, log);
  shutdown.onStop('guest components', () => components.stop());
  const images = (await loadBuiltInPuller(configuration, { syscalls, components, log })) ?? components.puller;
  return { components, images };
}

/** Chooses the guest or an inner agent, and checks that it can work here. */
export function prepareBackend({
  configuration,
  syscalls,
  log,
  isFirstProcess,
  state,
  hardened: { hardens },
  started: { components, images },
}: AgentStart & {
  readonly state: string;
  readonly hardened: Hardened;
  readonly started: StartedComponents;
}): Promise<PreparedBackend> {
  return loadBackend({
    configuration,
    components,
    images,
    syscalls,
    log,
    state,
    isFirstProcess,
    hardens,
  });
}

/** Makes the agent's key for listeners with TLS. Undefined: there are none. */
export function makeKey({
  configuration,
  clock: { floor },
}: AgentStart & { readonly clock: Clock; readonly prepared: PreparedBackend }): Promise<
  TlsListeners | undefined
> {
  return loadTls(configuration, floor);
}

/** Lets witnesses follow the audit log from its first record on. Undefined: there are none. */
export async function followLog({
  configuration,
  log,
  shutdown,
  opened: { audit, signer, later },
  tls,
}: AgentStart & {
  readonly opened: OpenedAudit;
  readonly tls: TlsListeners | undefined;
}): Promise<Witnesses | undefined> {
  const witnesses = await loadWitnesses({ configuration, audit, logKey: signer.verifier, tls, log });
  if (witnesses === undefined) return undefined;
  later.witnesses = witnesses;
  shutdown.onStop('witnesses', () => witnesses.close());
  return witnesses;
}

/** Writes the first record of this start (docs/configuration.md, "What is recorded"): what was measured, and what is in force. */
export async function recordBoot({
  configuration,
  clock,
  measured,
  extensions,
  hardened,
  opened: { audit },
  started: { components },
  prepared,
  tls,
}: AgentStart & {
  readonly clock: Clock;
  readonly measured: Measured;
  readonly extensions: readonly ExtensionFact[];
  readonly hardened: Hardened;
  readonly opened: OpenedAudit;
  readonly started: StartedComponents;
  readonly prepared: PreparedBackend;
  readonly tls: TlsListeners | undefined;
  readonly witnesses: Witnesses | undefined;
}): Promise<void> {
  await audit.boot({
    ...bootFacts(configuration, components),
    measured: measured.registers,
    hardened: hardened.facts,
    ...prepared.facts,
    ...(clock.facts === undefined ? {} : { clock: clock.facts }),
    ...(extensions.length === 0 ? {} : { extensions }),
    ...(tls === undefined ? {} : { tls: { pin: tls.pin } }),
  });
}

/** Opens the register that later checkpoints are extended into. Undefined: there is none. */
export async function openCheckpoints({
  configuration,
  log,
  shutdown,
  measured: { bootId },
  opened: { audit },
}: AgentStart & {
  readonly measured: Measured;
  readonly opened: OpenedAudit;
  readonly recorded: void;
}): Promise<CheckpointRegister | undefined> {
  const register = await loadCheckpointRegister(configuration, { bootId, audit, log });
  shutdown.onStop('checkpoint register', async () => register?.close());
  return register;
}

/** Seals the agent's keys, and opens the source of evidence. Undefined: there is none. */
export function openEvidence({
  configuration,
  log,
  measured: { bootId, registers },
  opened: { audit, signer },
  tls,
}: AgentStart & {
  readonly measured: Measured;
  readonly opened: OpenedAudit;
  readonly tls: TlsListeners | undefined;
  readonly checkpoints: CheckpointRegister | undefined;
}): Promise<Attester | undefined> {
  return loadAttester(configuration, {
    bootId,
    keys: { tlsSpki: tls?.spki ?? '', logKey: signer.verifier.toString() },
    audit,
    measured: registers,
    log,
  });
}

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
