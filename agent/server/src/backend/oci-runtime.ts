import { containersIn, isHybrid, type KnownRuntime, knownRuntime, knownRuntimes } from '@kata-agent/guest';
import { searchPath } from '@kata-agent/linux';
import { accessSync, constants, statSync } from 'node:fs';
import { delimiter, join } from 'node:path';
import { CannotApply } from '../cannot-apply.js';

/** The path of the OCI runtime (a configured one even if it does not exist yet), and why it cannot be run, if so. */
export interface OciRuntime {
  readonly path: string | undefined;
  readonly missing?: string;
  /** Why another one is not used, if there is one that would be preferred. */
  readonly instead?: string;
}

/** What the choice depends on, besides the setting. */
interface Surroundings {
  readonly environment: Readonly<Record<string, string | undefined>>;
  /** The mount point of cgroups. */
  readonly cgroup: string;
  /** The state directory. */
  readonly state: string;
}

/**
 * Finds the OCI runtime (docs/adr/oci-runtime.md, "runc or crun"): that of an earlier agent's containers; else the one that
 * `oci_runtime` names; else the first known one in PATH. One that cannot work with the cgroups of this guest is passed
 * over.
 */
export function findRuntime(named: string | undefined, surroundings: Surroundings): OciRuntime {
  const { environment, cgroup, state } = surroundings;
  // PATH is not set under a wrapper with an empty environment (S23).
  const directories = (environment['PATH'] ?? searchPath)
    .split(delimiter)
    .filter((one) => one.startsWith('/'));
  const inPath = ({ name }: KnownRuntime): string | undefined =>
    directories.map((directory) => join(directory, name)).find(isProgram);
  const preferred = named ?? knownRuntimes.map(inPath).find((path) => path !== undefined);
  const owner = knownRuntimes.find(({ name }) => containersIn(join(state, name)).length > 0);
  if (owner !== undefined && owner !== knownRuntime(preferred ?? '')) {
    const path = inPath(owner);
    const instead = `${owner.name} created the containers of an earlier agent`;
    if (path !== undefined) return { path, instead };
  }
  if (preferred === undefined) {
    const names = knownRuntimes.map(({ name }) => name).join(' or ');
    const remedy = 'install one (apt-get install runc), or set oci_runtime';
    return { path: undefined, missing: `no ${names} in ${directories.join(':')}: ${remedy}` };
  }
  if (named !== undefined && !isProgram(named)) {
    const remedy = 'install it there, or set oci_runtime to another';
    return { path: named, missing: `oci_runtime = ${JSON.stringify(named)} is not executable: ${remedy}` };
  }
  if (knownRuntime(preferred).hybridCgroups || !isHybrid(cgroup)) return { path: preferred };
  const instead = `${preferred} refuses hybrid cgroups, of v1 with a cgroup2 mount at ${join(cgroup, 'unified')}`;
  const path = knownRuntimes
    .filter(({ hybridCgroups }) => hybridCgroups)
    .map(inPath)
    .find((found) => found !== undefined);
  if (path !== undefined) return { path, instead };
  const remedy = 'install runc, or boot with cgroup v2 alone';
  return { path: preferred, missing: `${instead}: ${remedy}` };
}

/**
 * In a guest of its own nothing can be installed later: an agent that creates containers is useless without a runtime.
 * Elsewhere it can still be installed, and the agent log has a warning.
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
