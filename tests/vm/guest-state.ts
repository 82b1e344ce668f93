import type { Machine } from '@kata-agent/tool-vm/machine/machine';
import { shell } from './machine.js';

/** The state of a guest. Kernel threads are not counted, and the counting shell always is. */
export interface GuestState {
  readonly processes: number;
  readonly zombies: number;
  readonly mounts: number;
  readonly cgroups: number;
  /** Open descriptors of the agent, which is PID 1. */
  readonly descriptors: number;
}

const counts: Readonly<Record<keyof GuestState, string>> = {
  processes: 'grep -l VmRSS /proc/[0-9]*/status 2>/dev/null | wc -l',
  // The state follows the name, which can contain anything in brackets.
  zombies: "cat /proc/[0-9]*/stat 2>/dev/null | sed 's/.*) //' | grep -c ^Z",
  mounts: 'wc -l </proc/1/mounts',
  cgroups: 'find /sys/fs/cgroup -type d | wc -l',
  descriptors: 'ls /proc/1/fd | wc -l',
};

export async function guestState(machine: Machine): Promise<GuestState> {
  const printed = await shell(machine, `${Object.values(counts).join('; ')}; true`);
  const numbers = printed.trim().split('\n').map(Number);
  const names = Object.keys(counts) as (keyof GuestState)[];
  return Object.fromEntries(names.map((name, index) => [name, numbers[index]])) as unknown as GuestState;
}

/** Mebibytes: the agent's resident memory, and the available memory of the guest. */
export interface GuestMemory {
  readonly agent: number;
  readonly available: number;
}

export async function guestMemory(machine: Machine): Promise<GuestMemory> {
  const printed = await shell(machine, 'grep VmRSS /proc/1/status; grep MemAvailable /proc/meminfo');
  const [agent = Number.NaN, available = Number.NaN] = [...printed.matchAll(/(\d+) kB/g)].map(
    ([, kibibytes]) => Number(kibibytes) / 1024,
  );
  return { agent, available };
}

/** In bytes, of the whole guest. */
export interface UsedMemory {
  /** What the kernel cannot free: processes, files in tmpfs, slabs. Unlike the available memory it has no estimate in it. */
  readonly held: number;
  /** Pages of files that it reads again when it has freed them. */
  readonly cache: number;
}

export async function usedMemory(machine: Machine): Promise<UsedMemory> {
  const printed = await shell(machine, 'cat /proc/meminfo');
  const bytes = (name: string): number =>
    1024 * Number(new RegExp(`^${name}: +(\\d+)`, 'm').exec(printed)?.[1]);
  const held = ['AnonPages', 'Shmem', 'SUnreclaim', 'KernelStack', 'PageTables', 'Percpu'];
  return {
    held: held.reduce((sum, name) => sum + bytes(name), 0),
    // Cached has the files in tmpfs, too.
    cache: bytes('Cached') - bytes('Shmem'),
  };
}
