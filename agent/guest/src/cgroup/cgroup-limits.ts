import { existsSync, readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { readIfThere } from '@kata-agent/base';
import { attachDeviceFilter, deviceFilter, hasCode, type Syscalls } from '@kata-agent/linux';
import type { OciDeviceRule } from '../request/oci-spec.js';
import { type CgroupPaths, readCgroupFile, writeCgroupFile } from './cgroup-paths.js';
import { formatCpuList, parseCpuList, usableCpus } from '../spec/resources.js';

/** Character devices that a runtime opens for every container: both /dev/net/tun, crun also the console of the guest. */
const opened = [
  { major: 10, minor: 200 },
  { major: 5, minor: 1 },
] as const;

/**
 * Returns the default pids limit of a container: half of the kernel's maximum, so that no container can use up the pids of
 * the agent and of other containers. Undefined: the kernel has no pids controller.
 */
export function defaultPidsLimit({
  cgroup,
  proc,
}: {
  readonly cgroup: string;
  readonly proc: string;
}): number | undefined {
  const controllers = readIfThere(join(cgroup, 'cgroup.controllers'))?.toString();
  const canLimit =
    controllers === undefined
      ? existsSync(join(cgroup, 'pids', 'cgroup.procs'))
      : controllers.split(/\s/).includes('pids');
  if (!canLimit) return undefined;
  const [pids, threads] = ['pid_max', 'threads-max'].map((name) =>
    Number(readFileSync(join(proc, 'sys/kernel', name), 'utf8')),
  );
  return Math.max(1, Math.floor(Math.min(pids ?? 0, threads ?? 0) / 2));
}

/** A container whose cpuset follows the CPUs of the guest. */
interface CpuUser {
  readonly cgroup: CgroupPaths;
  /** The CPUs that it may run on, as `0-3,8`; empty: all. */
  readonly cpus: string;
}

/**
 * Updates the cpusets of containers after CPUs were plugged: a container whose spec names CPUs gets those of them that are
 * online. On v1 a cpuset can have only CPUs of its parent, so the cgroups above are widened first; v2 accepts any CPU that the
 * kernel can have, and no other.
 */
export function followCpus(containers: readonly CpuUser[], online: readonly number[], root: string): void {
  for (const { cgroup, cpus } of containers) {
    if (cpus === '') continue;
    if (cgroup.version === 2) {
      // systemd has removed the cgroup of a scope whose processes have ended.
      const wanted = usableCpus(cpus, online);
      if (wanted !== '') writeCgroupFile(join(cgroup.directory, 'cpuset.cpus'), wanted);
      continue;
    }
    const directory = cgroup.controllers.get('cpuset');
    if (directory === undefined) continue;
    const wanted = usableCpus(cpus, online);
    widenAbove(directory, online, root);
    if (wanted !== '') writeFileSync(join(directory, 'cpuset.cpus'), wanted);
  }
}

/** Adds the online CPUs to the cgroups above, the outermost first. The root of the hierarchy always has all CPUs. */
function widenAbove(directory: string, online: readonly number[], root: string): void {
  const above: string[] = [];
  for (let path = dirname(directory); path.startsWith(`${root}/`); path = dirname(path)) above.unshift(path);
  for (const path of above) {
    const file = join(path, 'cpuset.cpus');
    const outer = join(dirname(path), 'cpuset.cpus');
    if (!existsSync(file) || !existsSync(outer)) continue;
    const has = parseCpuList(readFileSync(file, 'utf8'));
    if (online.some((cpu) => !has.includes(cpu))) writeFileSync(file, formatCpuList(online));
  }
}

/**
 * Denies access to devices that the runtime adds to the rules of every container: nodes of any block device (`b *:* m`),
 * /dev/net/tun (runc before 1.2, crun) and /dev/console (crun). Does so before the container runs (S11). On v2, where the
 * rules are a BPF program of the runtime, a second program denies them: the kernel allows what both allow. An update of
 * the container keeps both: runc's changes no devices, and crun's only if the resources have rules, which the agent omits.
 */
export function narrowDevices(paths: CgroupPaths, rules: readonly OciDeviceRule[], syscalls: Syscalls): void {
  const closed = opened.filter((device) => !rules.some((rule) => opens(rule, device)));
  if (paths.version === 2) {
    attachDeviceFilter(syscalls, paths.directory, deviceFilter(closed));
    return;
  }
  const directory = paths.controllers.get('devices');
  if (directory === undefined) return;
  const deny = (rule: string): void => writeFileSync(join(directory, 'devices.deny'), rule, { flag: 'r+' });
  deny('b *:* rwm');
  for (const { major, minor } of closed) deny(`c ${major}:${minor} rw`);
}

function opens(
  { allow, type, major = -1, minor = -1, access = 'rwm' }: OciDeviceRule,
  device: (typeof opened)[number],
): boolean {
  const matches = (number: number, wanted: number): boolean => number === -1 || number === wanted;
  return (
    allow && type === 'c' && access !== 'm' && matches(major, device.major) && matches(minor, device.minor)
  );
}

/**
 * Returns the sizes of huge pages whose use the guest can limit, with the names of OCI specs. Empty: the kernel has no
 * hugetlb controller. `sys/kernel/mm/hugepages` has a directory for each size, such as `hugepages-2048kB`.
 */
export function limitableHugePages({
  sys,
  cgroup,
}: {
  readonly sys: string;
  readonly cgroup: string;
}): readonly string[] {
  const unified = readCgroupFile(join(cgroup, 'cgroup.controllers'));
  const canLimit =
    unified === undefined
      ? existsSync(join(cgroup, 'hugetlb'))
      : unified.trim().split(' ').includes('hugetlb');
  if (!canLimit) return [];
  return names(join(sys, 'kernel/mm/hugepages')).flatMap((name) => {
    const kibibytes = /^hugepages-(\d+)kB$/.exec(name)?.[1];
    return kibibytes === undefined ? [] : [sizeName(Number(kibibytes))];
  });
}

/** Formats a size in the largest unit that divides it: `2MB`. */
function sizeName(kibibytes: number): string {
  const [unit, size] =
    kibibytes % 2 ** 20 === 0 ? ['GB', 2 ** 20] : kibibytes % 1024 === 0 ? ['MB', 1024] : ['KB', 1];
  return `${kibibytes / size}${unit}`;
}

function names(directory: string): readonly string[] {
  try {
    return readdirSync(directory);
  } catch (error) {
    if (hasCode(error, 'ENOENT')) return [];
    throw error;
  }
}
