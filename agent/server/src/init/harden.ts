import { readFileSync, statSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { hasCode } from '@kata-agent/linux';
import type { Log } from '../log.js';
import { type HardenedSysctl, hardenedSysctls } from './hardened-sysctls.js';

/** The inode number of the kernel's first PID namespace (PROC_PID_INIT_INO, include/linux/proc_ns.h). */
const firstPidNamespace = 0xeffffffc;

/**
 * Reports whether this process is PID 1 of the kernel's first PID namespace, so that the guest's kernel is its own. PID
 * 1 of a container sees the sysctls of its host.
 */
export function ownsKernel(pid: number = process.pid, namespace: string = '/proc/self/ns/pid'): boolean {
  return pid === 1 && statSync(namespace).ino === firstPidNamespace;
}

/**
 * Sets the sysctls of the table; returns the names of those with the hardened value. A missing sysctl or a read-only
 * /proc/sys is a warning in the agent log.
 */
export function harden(log: Log, proc = '/proc'): readonly string[] {
  const missing: string[] = [];
  const hardened = hardenedSysctls.filter((sysctl) => {
    try {
      apply(sysctl, join(proc, 'sys', ...sysctl.name.split('.')));
      return true;
    } catch (error) {
      if (hasCode(error, 'ENOENT')) missing.push(sysctl.name);
      else
        log('warn', 'a sysctl was not changed', {
          sysctl: sysctl.name,
          wanted: sysctl.value,
          error: (error as Error).message,
        });
      return false;
    }
  });
  log('info', 'hardened', { sysctls: hardened.length, missing: missing.join(' ') });
  return hardened.map(({ name }) => name);
}

function apply({ value, keeps = [] }: HardenedSysctl, file: string): void {
  const found = readFileSync(file, 'utf8').trim();
  if (found !== value && !keeps.includes(found)) writeFileSync(file, `${value}\n`, { flag: 'r+' });
}
