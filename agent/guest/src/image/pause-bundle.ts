import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { isOfSandbox } from '@kata-agent/catalogue/requested-root';
import { GuestError } from '../error/guest-error.js';
import type { OciProcess, OciSpec } from '../request/oci-spec.js';

/** The user of a process whose spec names none. */
const root = { uid: 0, gid: 0 };

/** The bundle of the pause container in the guest image. */
export interface PauseBundle {
  /** Its root, a directory of the guest image. */
  readonly rootfs: string;
  readonly process: OciProcess;
}

/**
 * Reads the bundle of the pause container: the host has no image for it in a guest that pulls its own.
 *
 * @throws GuestError `precondition`
 */
export function readPauseBundle(directory: string): PauseBundle {
  const file = join(directory, 'config.json');
  const failed = (why: string, cause?: unknown): GuestError =>
    new GuestError(
      'precondition',
      `the pause container's bundle ${directory} cannot be used: ${why}; help: add it to the guest image`,
      { cause },
    );
  let parsed: unknown;
  try {
    parsed = JSON.parse(readFileSync(file, 'utf8'));
  } catch (error) {
    throw failed(error instanceof Error ? error.message : String(error), error);
  }
  const process = parsed instanceof Object && 'process' in parsed ? parsed.process : undefined;
  if (!isProcess(process)) throw failed(`${file} has no process with args and cwd`);
  return {
    rootfs: join(directory, 'rootfs'),
    process: { ...process, user: process.user ?? root, terminal: false },
  };
}

/**
 * Returns the spec of a container in a guest that pulls its own images: the sandbox's has the process of the pause bundle, so that the
 * host determines nothing of it, as with Kata's agent.
 */
export function withPauseProcess(spec: OciSpec, pauseBundle: string): OciSpec {
  if (!isOfSandbox(spec.annotations ?? {})) return spec;
  return { ...spec, process: readPauseBundle(pauseBundle).process };
}

function isProcess(value: unknown): value is Omit<OciProcess, 'user'> & Partial<Pick<OciProcess, 'user'>> {
  return (
    value instanceof Object &&
    'args' in value &&
    Array.isArray(value.args) &&
    value.args.length > 0 &&
    value.args.every((each) => typeof each === 'string') &&
    'cwd' in value &&
    typeof value.cwd === 'string'
  );
}
