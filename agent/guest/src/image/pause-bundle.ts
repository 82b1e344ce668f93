import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { isOfSandbox } from '@kata-agent/catalogue/requested-root';
import { GuestError } from '../guest-error.js';
import type { SharedMount } from '../request/actions.js';
import { quotedPath } from '../quoted.js';
import { cleanPath, contains } from '../paths/clean-path.js';
import type { OciMount, OciProcess, OciSpec } from '../request/oci-spec.js';
import { isBind } from '../spec/mounts.js';

/** Where engines bind something in the sandbox's own container. No program of a pause bundle is there. */
const places: readonly string[] = ['/dev', '/run', '/etc/hostname', '/etc/hosts', '/etc/resolv.conf'];

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

/**
 * Refuses mounts by which the host would run another program than the pause bundle's: rules know the bundle by `image.from` alone. Pure.
 *
 * @throws GuestError `refused`
 */
export function checkPauseMounts(
  mounts: readonly OciMount[],
  sharedMounts: readonly Pick<SharedMount, 'destinationPath'>[] = [],
): void {
  const destinations = [
    ...mounts.filter(isBind).map(({ destination }) => destination),
    ...sharedMounts.map(({ destinationPath }) => destinationPath),
  ];
  for (const destination of destinations) {
    const path = `/${cleanPath(destination, 'destination of a mount').join('/')}`;
    if (!places.some((place) => contains(place, path)))
      throw new GuestError(
        'refused',
        `mount at ${quotedPath(destination)} of the pause container, whose program is of the guest image: only ${places.join(', ')} are allowed; help: mount it in another container`,
      );
  }
}
