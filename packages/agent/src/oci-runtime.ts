import { accessSync, constants, statSync } from 'node:fs';
import { delimiter, join } from 'node:path';
import { CannotApply } from './cannot-apply.js';

/** Where the runtime is looked for when PATH is not set, as it is under a wrapper with an empty environment (S23). */
const defaultPath = '/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin';

/** Where the OCI runtime is (a named one also when it is not there yet), and why it cannot be run, if so. */
export interface OciRuntime {
  readonly path: string | undefined;
  readonly missing?: string;
}

/** Looks for the runtime that `oci_runtime` names, or else for `runc` in PATH. */
export function findRuntime(
  named: string | undefined,
  environment: Readonly<Record<string, string | undefined>>,
): OciRuntime {
  if (named !== undefined) {
    if (isProgram(named)) return { path: named };
    const remedy = 'put it there, or let oci_runtime name another';
    return { path: named, missing: `oci_runtime = ${JSON.stringify(named)} is no program: ${remedy}` };
  }
  const folders = (environment['PATH'] ?? defaultPath).split(delimiter).filter((one) => one.startsWith('/'));
  const path = folders.map((folder) => join(folder, 'runc')).find(isProgram);
  if (path !== undefined) return { path };
  const remedy = 'install one (apt-get install runc), or name it by oci_runtime';
  return { path, missing: `there is no runc in ${folders.join(':')}: ${remedy}` };
}

/**
 * In a guest of its own nothing can be installed later: an agent that is to make containers there and cannot is of no use.
 * Elsewhere somebody may still do so, and the guest's log has a warning.
 *
 * @throws CannotApply
 */
export function demandRuntime(
  { missing }: OciRuntime,
  guest: { readonly isFirstProcess: boolean; readonly servesContainers: boolean },
): void {
  if (missing !== undefined && guest.isFirstProcess && guest.servesContainers)
    throw new CannotApply(`CreateContainer is served, but ${missing}`);
}

function isProgram(path: string): boolean {
  try {
    accessSync(path, constants.X_OK);
    return statSync(path).isFile();
  } catch (error) {
    if (error instanceof Error && 'code' in error) return false;
    throw error;
  }
}
