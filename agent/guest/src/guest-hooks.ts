import { lstatSync, readdirSync, realpathSync, type Stats } from 'node:fs';
import { isAbsolute, join } from 'node:path';
import { hasCode } from '@kata-agent/linux';
import { GuestError } from './guest-error.js';
import type { GuestLog } from './guest-log.js';
import type { GuestPaths } from './paths/guest-paths.js';
import type { OciHook, OciHooks } from './request/oci-spec.js';

/** The kinds of hooks that a guest image can have, each a directory of programs (Kata 4.1, src/agent/src/sandbox.rs). */
const kinds = ['prestart', 'poststart', 'poststop'] as const;

const executable = 0o111;
const writableByOthers = 0o022;

/**
 * Finds the hooks of the guest image in a directory (`guest_hook_path`), which run for every container of the sandbox. They
 * run as root in the guest, outside the containers. So a hook must be a regular file that belongs to root and that only
 * root can write, and the directory must not be one to which the host or containers write.
 *
 * @throws GuestError `invalid`: not an absolute path; `refused`: in Kata's directory
 */
export function findGuestHooks(
  directory: string,
  { kata }: Pick<GuestPaths, 'kata'>,
  log: GuestLog,
): OciHooks {
  const named = `guest_hook_path ${JSON.stringify(directory)}`;
  if (!isAbsolute(directory)) throw new GuestError('invalid', `${named} must be an absolute path`);
  const real = realDirectory(directory);
  if (real === undefined) {
    log('warn', `${named} does not exist: no hooks of the guest will run`);
    return {};
  }
  if (real === kata || real.startsWith(`${kata}/`))
    throw new GuestError(
      'refused',
      `${named} is in ${kata}, which the host can write; help: use a directory of the guest image`,
    );
  return Object.fromEntries(kinds.map((kind) => [kind, hooksIn(join(real, kind), kind, log)]));
}

function realDirectory(directory: string): string | undefined {
  try {
    return realpathSync(directory);
  } catch (error) {
    if (hasCode(error, 'ENOENT', 'ENOTDIR')) return undefined;
    throw error;
  }
}

/** Returns the hooks in the order of their names. */
function hooksIn(directory: string, kind: string, log: GuestLog): readonly OciHook[] {
  const found = lstatSync(directory, { throwIfNoEntry: false });
  if (found?.isDirectory() !== true) return [];
  const names = readdirSync(directory).sort();
  return names.flatMap((name) => {
    const path = join(directory, name);
    const reason = reasonToIgnore(lstatSync(path));
    if (reason === undefined) return [{ path, args: [name, kind] }];
    log('warn', `hook ${path} is ignored: it is ${reason}`);
    return [];
  });
}

/** Returns why a file must not run as a hook. */
export function reasonToIgnore(stat: Stats): string | undefined {
  if (!stat.isFile()) return 'not a regular file';
  if ((stat.mode & executable) === 0) return 'not executable';
  return stat.uid !== 0 || (stat.mode & writableByOthers) !== 0 ? 'not writable by root alone' : undefined;
}

/** Merges the hooks of a container: those of its spec run first, then the guest's. */
export function mergeHooks(own: OciHooks | undefined, guest: OciHooks | undefined): OciHooks | undefined {
  if (guest === undefined) return own;
  const merged = kinds.map((kind) => [kind, [...(own?.[kind] ?? []), ...(guest[kind] ?? [])]]);
  return { ...own, ...(Object.fromEntries(merged) as OciHooks) };
}

/**
 * Which OCI hooks run: none, those of the guest's CDI specifications, or also those that the host chooses, in requests and
 * by `guest_hook_path`.
 */
export type HookSetting = 'refuse' | 'cdi' | 'allow';

/**
 * Refuses the hooks of a request. The host chooses their programs, and hooks run in the guest, some of them outside the
 * container (S10).
 *
 * @throws GuestError `refused`
 */
export function refuseHooks(hooks: OciHooks | undefined): void {
  for (const [kind, list] of Object.entries(hooks ?? {})) {
    if (list !== undefined && list.length > 0) {
      throw new GuestError('refused', `OCI hooks (${kind}) are refused; help: set hooks = "allow"`);
    }
  }
}
