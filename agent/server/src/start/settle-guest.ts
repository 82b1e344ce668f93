import { renderDiagnostic } from '@kata-agent/config';
import type { RegisterReport } from '@kata-agent/measurement';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { harden, ownsKernel } from '../init/harden.js';
import { measureConfiguration } from '../measurement/measure.js';
import { type ClockFacts, clockFloor, raiseClock } from '../startup/clock-floor.js';
import { checkDevelopmentFlags } from '../startup/development-flags.js';
import { type ExtensionFact, mountExtensions } from '../startup/mount-extensions.js';
import { protectFromOomKiller } from '../startup/oom-score.js';
import { makeMountsPrivate } from '../startup/private-mounts.js';
import { writeInitdata } from '../startup/write-initdata.js';
import { persistDeliveredDocuments } from '../state/delivered-documents.js';
import { defaultStateDirectory, takeStateDirectory } from '../state/state-directory.js';
import { largestAuditLog, mountStateFileSystem } from '../state/state-file-system.js';
import type { AgentStart } from './agent-start.js';

/** Protects the agent from the OOM killer, prints the configuration's warnings, and refuses flags that are for development only. */
export function checkFlags({ configuration, log, flags, isFirstProcess }: AgentStart): void {
  protectFromOomKiller(log);
  for (const warning of configuration.warnings) log('warn', renderDiagnostic(warning));
  checkDevelopmentFlags(flags, { isFirstProcess, configuration });
}

export interface Clock {
  /** Undefined: the configuration has none. In milliseconds since 1970. */
  readonly floor: number | undefined;
  readonly facts: ClockFacts | undefined;
}

/** Raises the clock to its floor. */
export function setClock({ configuration, syscalls, log }: AgentStart & { readonly checked: void }): Clock {
  const floor = clockFloor(configuration);
  if (floor === undefined) return { floor, facts: undefined };
  return { floor, facts: raiseClock(floor, { syscalls, log, ownsKernel: ownsKernel(), now: Date.now }) };
}

/** Locks the state directory, before anything in it is read; returns its path. */
export async function lockState({
  flags,
  syscalls,
}: AgentStart & { readonly clock: Clock }): Promise<string> {
  const state = flags.stateDirectory ?? defaultStateDirectory;
  await takeStateDirectory(state, syscalls);
  return state;
}

/** Makes the guest's mounts private, and gives the agent's state a file system of its own that containers cannot fill. */
export async function separateFromGuest({
  configuration: { audit, limits, settings },
  syscalls,
  log,
  state,
}: AgentStart & { readonly state: string }): Promise<void> {
  if (process.getuid?.() !== 0) return;
  // The mounts of an inner agent are its own.
  if (settings.forward === undefined && makeMountsPrivate(syscalls))
    log('info', "the guest's mounts were shared; they are private now");
  if (state !== defaultStateDirectory) return;
  const auditBytes = audit.file.startsWith(`${state}/`) ? largestAuditLog(audit, limits) : 0;
  // Its lock is separate from that of the directory below.
  if (mountStateFileSystem(state, auditBytes, syscalls)) await takeStateDirectory(state, syscalls);
}

export interface Measured {
  readonly bootId: string;
  readonly registers: readonly RegisterReport[];
}

/** Extends the configured registers with the digest of the configuration. */
export async function measure({
  configuration,
  log,
}: AgentStart & { readonly separated: void }): Promise<Measured> {
  const bootId = readFileSync('/proc/sys/kernel/random/boot_id', 'utf8').trim();
  return { bootId, registers: await measureConfiguration(configuration, { bootId, log }) };
}

/** Writes the documents and the initdata that were delivered where guest components and a restarted agent read them. */
export function persistDelivered({
  configuration,
  log,
  state,
  measured: { bootId },
}: AgentStart & { readonly state: string; readonly measured: Measured }): void {
  persistDeliveredDocuments(configuration, join(state, 'delivered.json'), bootId);
  writeInitdata(configuration, log);
}

/** Mounts the extension images that the kernel command line names. */
export function addExtensions({
  configuration,
  syscalls,
  log,
}: AgentStart & { readonly delivered: void }): Promise<readonly ExtensionFact[]> {
  const kernelCommandLine = readFileSync('/proc/cmdline', 'utf8');
  return mountExtensions(configuration, { kernelCommandLine, syscalls, log });
}

export interface Hardened {
  readonly hardens: boolean;
  /** For the first record. */
  readonly facts: readonly string[];
}

/** Hardens the guest's kernel. */
export function hardenKernel({
  configuration,
  log,
}: AgentStart & { readonly extensions: readonly ExtensionFact[] }): Hardened {
  const { harden: wanted = ownsKernel(), forward } = configuration.settings;
  const hardens = wanted && forward === undefined;
  return { hardens, facts: hardens ? harden(log) : [] };
}

/** From here on a signal requests an orderly end. */
export function acceptStop({ onStop, shutdown }: AgentStart & { readonly hardened: Hardened }): void {
  onStop((reason) => shutdown.request(reason));
}
