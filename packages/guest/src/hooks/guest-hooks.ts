import { lstatSync, readdirSync, realpathSync, type Stats } from 'node:fs';
import { isAbsolute, join } from 'node:path';
import { hasCode } from '@kata-agent/linux';
import { GuestError } from '../guest-error.js';
import type { GuestLog, GuestPaths } from '../guest-options.js';
import type { OciHook, OciHooks } from '../oci-spec.js';

/** The kinds that a guest's image can have, each a directory of programs (Kata 4.1, src/agent/src/sandbox.rs). */
const kinds = ['prestart', 'poststart', 'poststop'] as const;

const executable = 0o111;
const writableByOthers = 0o022;

/**
 * The hooks that the guest's image has in a directory (`guest_hook_path`), for every container of the sandbox. They run as
 * root in the guest, outside the containers: so a program counts only when it is the image's own, a regular file of root's
 * that nobody else writes, and not where the host or containers put files.
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
    log('warn', `${named} is not there: no hooks`);
    return {};
  }
  if (real === kata || real.startsWith(`${kata}/`))
    throw new GuestError('refused', `${named} lies in ${kata}, where the host writes`);
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

/** In the order of their names. */
function hooksIn(directory: string, kind: string, log: GuestLog): readonly OciHook[] {
  const found = lstatSync(directory, { throwIfNoEntry: false });
  if (found?.isDirectory() !== true) return [];
  const names = readdirSync(directory).sort();
  return names.flatMap((name) => {
    const path = join(directory, name);
    const why = whyNot(lstatSync(path));
    if (why === undefined) return [{ path, args: [name, kind] }];
    log('warn', `hook ${path} is left out: it is ${why}`);
    return [];
  });
}

function whyNot(stat: Stats): string | undefined {
  if (!stat.isFile()) return 'not a regular file';
  if ((stat.mode & executable) === 0) return 'not executable';
  return stat.uid !== 0 || (stat.mode & writableByOthers) !== 0 ? 'not for root alone to write' : undefined;
}

/** A container's hooks: those of its spec, then the guest's. */
export function mergeHooks(own: OciHooks | undefined, guest: OciHooks | undefined): OciHooks | undefined {
  if (guest === undefined) return own;
  const merged = kinds.map((kind) => [kind, [...(own?.[kind] ?? []), ...(guest[kind] ?? [])]]);
  return { ...own, ...(Object.fromEntries(merged) as OciHooks) };
}
