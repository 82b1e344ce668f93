import { readFileSync, statSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { hasCode } from '@kata-agent/linux';
import type { Log } from '../log.js';
import { type HardenedSysctl, hardenedSysctls } from './hardened-sysctls.js';

/** The number that the kernel gives its first PID namespace (PROC_PID_INIT_INO, include/linux/proc_ns.h). */
const firstPidNamespace = 0xeffffffc;

/**
 * Reports whether the kernel started this process first, so that the kernel is this guest's. PID 1 of a container is not
 * that: the sysctls there are of the machine that it runs on.
 */
export function ownsKernel(pid: number = process.pid, namespace: string = '/proc/self/ns/pid'): boolean {
  return pid === 1 && statSync(namespace).ino === firstPidNamespace;
}

/**
 * Gives the guest's kernel the values of the table; returns the names of those that it has then. A kernel without one of
 * them, or a /proc/sys that is read-only, costs a line in the log.
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
        log('warn', 'a sysctl stays as it is', {
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
