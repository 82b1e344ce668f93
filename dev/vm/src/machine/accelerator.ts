// Selects QEMU's accelerator: KVM, or TCG (emulation). A KVM device that opens and creates a machine may still
// fail to run one: nested and paravirtual KVM may stop at the first instruction that it cannot emulate.
import { closeSync, mkdirSync, openSync, readFileSync, renameSync, writeFileSync } from 'node:fs';
import { dirname, join, relative } from 'node:path';
import { root } from '@kata-agent/setup/bootstrap';
import { codeOf } from '@kata-agent/tool-command/command-line';
import type { Ending } from './run.js';

/** An accelerator of QEMU. */
export type Accelerator = 'kvm' | 'tcg';

/** A requested accelerator; `auto`: KVM, or TCG if KVM fails. */
export type RequestedAccelerator = 'auto' | Accelerator;

const accelerators: readonly RequestedAccelerator[] = ['auto', 'kvm', 'tcg'];

/** The properties of this machine that the choice depends on. */
export interface Host {
  /** The path of the KVM device. */
  readonly kvm: string;
  /**
   * A file with the reason of a KVM failure, valid until this machine reboots. It spares the test files of one
   * `npm test` from failing under KVM one after another, which takes seconds each.
   */
  readonly failures: string;
}

/** The accelerator that a machine starts with. */
export interface Choice {
  readonly name: Accelerator;
  /** Whether it was requested by name. */
  readonly forced: boolean;
  /** Why KVM is not used. */
  readonly reason?: string;
}

export const thisHost: Host = { kvm: '/dev/kvm', failures: join(root, 'build', 'kvm-failed.json') };

/** Returns the accelerator in KATA_VM_ACCEL; `auto` if it is not set. Throws if it is unknown. */
export function requestedAccelerator(environment: NodeJS.ProcessEnv = process.env): RequestedAccelerator {
  return parseAccelerator('KATA_VM_ACCEL', environment['KATA_VM_ACCEL'] ?? 'auto');
}

/** Parses the name of an accelerator. Throws if it is unknown; `name` is the option or variable for the error. */
export function parseAccelerator(name: string, value: string): RequestedAccelerator {
  const found = accelerators.find((accelerator) => accelerator === value);
  if (found !== undefined) return found;
  throw new Error(`${name} ${value}: unknown accelerator\nhelp: use one of ${accelerators.join(', ')}`);
}

/**
 * Chooses the accelerator for a machine. With `auto` it is TCG if KVM does not open or failed since this
 * machine booted.
 */
export function chooseAccelerator(
  requested: RequestedAccelerator = requestedAccelerator(),
  host: Host = thisHost,
): Choice {
  if (requested !== 'auto') return { name: requested, forced: true };
  const reason = openFailure(host.kvm) ?? recordedFailure(host);
  return reason === undefined ? { name: 'kvm', forced: false } : { name: 'tcg', forced: false, reason };
}

/** Describes a choice in a message: the accelerator, and why it is not KVM. */
export function describeAccelerator({ name, reason }: Choice): string {
  if (name === 'kvm') return 'KVM';
  return reason === undefined ? 'TCG' : `TCG, without KVM (${reason})`;
}

function openFailure(device: string): string | undefined {
  try {
    closeSync(openSync(device, 'r+'));
    return undefined;
  } catch (error) {
    // No device, no permission, or no driver.
    const code = codeOf(error) ?? '';
    if (['ENOENT', 'EACCES', 'EPERM', 'ENODEV', 'ENXIO'].includes(code)) return `${device}: ${code}`;
    throw error;
  }
}

/** Records a KVM failure: later machines of this checkout start with TCG, in other processes as well. */
export function recordFailure({ failures }: Host, reason: string): void {
  mkdirSync(dirname(failures), { recursive: true });
  // Atomic, because other processes may read the file.
  const draft = `${failures}.${process.pid}`;
  writeFileSync(draft, `${JSON.stringify({ boot: bootId(), reason })}\n`);
  renameSync(draft, failures);
}

/** The contents of the file. Another version may have written it. */
interface RecordedFailure {
  readonly boot?: string;
  readonly reason?: string;
}

function recordedFailure({ failures }: Host): string | undefined {
  const { boot, reason } = readFailure(failures);
  if (boot !== bootId()) return undefined;
  return `${reason}; to try KVM again, remove ${relative(process.cwd(), failures)}`;
}

function readFailure(path: string): RecordedFailure {
  try {
    return JSON.parse(readFileSync(path, 'utf8'));
  } catch (error) {
    if (codeOf(error) === 'ENOENT' || error instanceof SyntaxError) return {};
    throw error;
  }
}

function bootId(): string {
  return readFileSync('/proc/sys/kernel/random/boot_id', 'utf8').trim();
}

/** Matches lines of QEMU about KVM failures, not those about files or options. */
const kvmLine = /\bKVM[ _]|initialize kvm|\bkvm_\w+: |kvm run failed/;

/** Reports whether a run under KVM ended because of KVM. `qemuLines`: what QEMU printed on stderr. */
export function isKvmFailure({ code, reason }: Ending, qemuLines: readonly string[]): boolean {
  if (reason !== undefined) return reason.kind === 'stopped' && reason.state === 'internal-error';
  return code !== 0 && qemuLines.some((line) => kvmLine.test(line));
}

/** Returns at most two of QEMU's lines that describe a KVM failure. */
export function kvmFailureText(qemuLines: readonly string[]): string {
  return qemuLines
    .map((line) => line.replace(/^\S*qemu\S*: /, ''))
    .filter((line) => kvmLine.test(line) || /^error|failure$/.test(line))
    .slice(0, 2)
    .join(', ');
}
