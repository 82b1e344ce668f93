import { existsSync, readdirSync } from 'node:fs';
import { join } from 'node:path';
import { hasCode } from '@kata-agent/linux';
import { readCgroupFile } from './cgroup-files.js';

/** Returns the page sizes (`2MB`, `1GB`) for which a cgroup has a file `hugetlb.<size>.<suffix>`. */
export function hugePageSizes(names: Iterable<string>, suffix: string): readonly string[] {
  const pattern = /^hugetlb\.([0-9]+[KMG]B)\.(.*)$/;
  return [...names].flatMap((name) => {
    const match = pattern.exec(name);
    return match?.[1] !== undefined && match[2] === suffix ? [match[1]] : [];
  });
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
