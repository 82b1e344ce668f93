import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { hasCode } from '@kata-agent/linux';
import { GuestError } from '../guest-error.js';

export interface SplitSysctls {
  /** For runc. */
  readonly own: Readonly<Record<string, string>>;
  /** `net.*`: for the sandbox's network namespace, which the container shares. */
  readonly network: Readonly<Record<string, string>>;
}

const name = /^[A-Za-z0-9_-]+(?:[./][A-Za-z0-9_:@-]+)*$/;

/** runc refuses `net.*` for a container without a network namespace of its own, which none here has. */
export function splitSysctls(sysctls: Readonly<Record<string, string>> | undefined): SplitSysctls {
  const entries = Object.entries(sysctls ?? {});
  for (const [key] of entries) {
    if (!name.test(key))
      throw new GuestError('invalid', `sysctl ${JSON.stringify(key)} is not a sysctl's name`);
  }
  const isNetwork = ([key]: readonly [string, string]): boolean => /^net[./]/.test(key);
  return {
    own: Object.fromEntries(entries.filter((entry) => !isNetwork(entry))),
    network: Object.fromEntries(entries.filter(isNetwork)),
  };
}

/**
 * Writes sysctls below `<proc>/sys`; answers the names of those that this kernel does not have. containerd 2 sets two
 * of them for every pod, so a missing one must not be an error.
 */
export function writeSysctls(sysctls: Readonly<Record<string, string>>, proc: string): readonly string[] {
  const missing: string[] = [];
  for (const [key, value] of Object.entries(sysctls)) {
    try {
      writeFileSync(join(proc, 'sys', ...sysctlPath(key)), value, { flag: 'r+' });
    } catch (error) {
      if (hasCode(error, 'ENOENT')) missing.push(key);
      else
        throw new GuestError('invalid', `sysctl ${key} does not take ${JSON.stringify(value)}`, {
          cause: error,
        });
    }
  }
  return missing;
}

/** sysctl(8): the first separator decides; in a name with slashes the dots are part of an interface's name. */
function sysctlPath(key: string): readonly string[] {
  const separator = /[./]/.exec(key)?.[0] ?? '.';
  const parts = key.split(separator);
  return separator === '/' ? parts : parts.map((part) => part.replaceAll('/', '.'));
}
