import { join } from 'node:path';
import { readIfThere } from '@kata-agent/base';

/**
 * Reports whether the kernel has loaded an AppArmor profile. The list has one `NAME (MODE)` per line (Linux,
 * security/apparmor/apparmorfs.c), and is read at each call: profiles can be loaded at any time.
 */
export function hasAppArmorProfile(name: string, sys: string): boolean {
  const loaded = readIfThere(join(sys, 'kernel/security/apparmor/profiles'))?.toString() ?? '';
  return loaded.split('\n').some((line) => line.replace(/ \([a-z]+\)$/, '') === name);
}
