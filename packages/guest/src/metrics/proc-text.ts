/** The files of procfs that metrics are read from, each as names and numbers. Values are as the kernel gives them. */

/** `Name:  number unit` lines, as of /proc/meminfo, /proc/self/status and /proc/self/io; other lines are left out. */
export function namedNumbers(text: string): ReadonlyMap<string, number> {
  const found = new Map<string, number>();
  for (const line of text.split('\n')) {
    const match = /^([^:]+):\s*(\d+)(?: [a-zA-Z]+)?$/.exec(line.trim());
    if (match !== null) found.set(match[1] ?? '', Number(match[2]));
  }
  return found;
}

/** `name number` lines, as of /proc/vmstat. */
export function pairs(text: string): ReadonlyMap<string, number> {
  return new Map(
    text.split('\n').flatMap((line) => {
      const [name = '', value = ''] = line.split(' ');
      return /^\d+$/.test(value) ? [[name, Number(value)] as const] : [];
    }),
  );
}

/** Fields of a line after its name, as numbers; what is no number is 0. */
export function fields(line: string): readonly number[] {
  return line
    .trim()
    .split(/\s+/)
    .map((field) => (/^\d+(\.\d+)?$/.test(field) ? Number(field) : 0));
}

/** The fields of /proc/<pid>/stat from the third on: the name before them may hold spaces and parentheses. */
export function processStat(text: string): readonly number[] {
  return fields(text.slice(text.lastIndexOf(')') + 1));
}

const unusualNames: ReadonlyMap<string, string> = new Map([
  ['Percpu', 'per_cpu'],
  ['AnonHugePages', 'anon_hugepages'],
  ['ShmemHugePages', 'shmem_hugepages'],
  ['Hugepagesize', 'hugepagesize'],
  ['HugePages_Total', 'hugepages_total'],
  ['HugePages_Free', 'hugepages_free'],
  ['HugePages_Rsvd', 'hugepages_rsvd'],
  ['HugePages_Surp', 'hugepages_surp'],
  ['NFS_Unstable', 'nfs_unstable'],
  ['Committed_AS', 'committed_as'],
  ['DirectMap4k', 'direct_map_4k'],
  ['DirectMap4M', 'direct_map_4M'],
  ['DirectMap2M', 'direct_map_2M'],
  ['DirectMap1G', 'direct_map_1G'],
]);

/** `Active(anon)` as the label that Kata's agent gives it: `active_anon`. */
export function memoryItem(name: string): string {
  const unusual = unusualNames.get(name);
  if (unusual !== undefined) return unusual;
  return name
    .replace(/\((.*)\)/, '_$1')
    .replace(/([a-z])([A-Z])/g, '$1_$2')
    .replace(/^([SK])([A-Z])/, '$1_$2')
    .toLowerCase();
}
