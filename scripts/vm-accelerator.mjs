// What runs a guest's instructions: KVM, or TCG, which is QEMU's emulation. That KVM opens, and makes a machine, does not
// mean that it can run one: on nested and paravirtual KVM it may stop at the first instruction that it cannot emulate.
import { closeSync, mkdirSync, openSync, readFileSync, renameSync, writeFileSync } from 'node:fs';
import { dirname, join, relative } from 'node:path';
import { root } from './bootstrap.mjs';

export const accelerators = ['auto', 'kvm', 'tcg'];

/**
 * `kvm`: KVM's device. `failures`: a file that has why KVM failed, for as long as this machine is not booted again; so the
 * test files of one `npm test` do not all find out anew, which costs seconds each.
 */
export const thisHost = { kvm: '/dev/kvm', failures: join(root, 'build', 'kvm-failed.json') };

/** What the environment asks for: KATA_VM_ACCEL. Throws when it is none of `accelerators`. */
export function wantedAccelerator(environment = process.env) {
  const wanted = environment.KATA_VM_ACCEL ?? 'auto';
  return checkedAccelerator('KATA_VM_ACCEL', wanted);
}

export function checkedAccelerator(name, value) {
  if (accelerators.includes(value)) return value;
  throw new Error(`${name} ${value}: this is no accelerator: ${accelerators.join(', ')}`);
}

/**
 * What a machine starts under: `name`, whether it was `forced`, and `reason`, why KVM is not tried.
 */
export function chooseAccelerator(wanted = wantedAccelerator(), host = thisHost) {
  if (wanted !== 'auto') return { name: wanted, forced: true };
  const reason = whyNotOpen(host.kvm) ?? knownFailure(host);
  return reason === undefined ? { name: 'kvm', forced: false } : { name: 'tcg', forced: false, reason };
}

/** A line for people: what runs the guest, and why it is not KVM. */
export function describeAccelerator({ name, reason }) {
  if (name === 'kvm') return 'KVM';
  return reason === undefined ? 'TCG' : `TCG, without KVM (${reason})`;
}

function whyNotOpen(device) {
  try {
    closeSync(openSync(device, 'r+'));
    return undefined;
  } catch (error) {
    // There is none, this user may not, or no driver is behind it.
    if (['ENOENT', 'EACCES', 'EPERM', 'ENODEV', 'ENXIO'].includes(error.code))
      return `${device}: ${error.code}`;
    throw error;
  }
}

/** Has the next machines begin under TCG, in this process and in others of this checkout. */
export function rememberFailure({ failures }, reason) {
  mkdirSync(dirname(failures), { recursive: true });
  // Whole or not at all: others may read meanwhile.
  const draft = `${failures}.${process.pid}`;
  writeFileSync(draft, `${JSON.stringify({ boot: bootId(), reason })}\n`);
  renameSync(draft, failures);
}

function knownFailure({ failures }) {
  const { boot, reason } = readFailure(failures);
  if (boot !== bootId()) return undefined;
  return `${reason}; remove ${relative(process.cwd(), failures)} to try it again`;
}

function readFailure(path) {
  try {
    return JSON.parse(readFileSync(path, 'utf8'));
  } catch (error) {
    if (error.code === 'ENOENT' || error instanceof SyntaxError) return {};
    throw error;
  }
}

function bootId() {
  return readFileSync('/proc/sys/kernel/random/boot_id', 'utf8').trim();
}

/** What QEMU says of its own when KVM is at fault, and not a file or an option. */
const ofKvm = /\bKVM[ _]|initialize kvm|\bkvm_\w+: |kvm run failed/;

/** Whether a run under KVM ended because of KVM. `own`: QEMU's own lines. */
export function isKvmFailure({ code, reason }, own) {
  if (reason !== undefined) return reason.state === 'internal-error';
  return code !== 0 && own.some((line) => ofKvm.test(line));
}

/** QEMU's words for it, in short. */
export function kvmFailureText(own) {
  return own
    .map((line) => line.replace(/^\S*qemu\S*: /, ''))
    .filter((line) => ofKvm.test(line) || /^error|failure$/.test(line))
    .slice(0, 2)
    .join(', ');
}
