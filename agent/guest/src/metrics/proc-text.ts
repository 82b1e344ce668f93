/**
 * Parses lines of `Name:  number unit`, as in /proc/meminfo, /proc/self/status and /proc/self/io; ignores other lines. Numbers
 * stay in the kernel's unit.
 */
export function namedNumbers(text: string): ReadonlyMap<string, number> {
  const found = new Map<string, number>();
  for (const line of text.split('\n')) {
    const match = /^([^:]+):\s*(\d+)(?: [a-zA-Z]+)?$/.exec(line.trim());
    if (match !== null) found.set(match[1] ?? '', Number(match[2]));
  }
  return found;
}

/** Parses lines of `name number`, as in /proc/vmstat. */
export function pairs(text: string): ReadonlyMap<string, number> {
  return new Map(
    text.split('\n').flatMap((line) => {
      const [name = '', value = ''] = line.split(' ');
      return /^\d+$/.test(value) ? [[name, Number(value)] as const] : [];
    }),
  );
}

/** Parses the fields of a line as numbers; other text becomes 0. */
export function fields(line: string): readonly number[] {
  return line
    .trim()
    .split(/\s+/)
    .map((field) => (/^\d+(\.\d+)?$/.test(field) ? Number(field) : 0));
}

/** Parses the fields of /proc/<pid>/stat from the third on: the command name before them may have spaces and parentheses. */
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

/** Returns the label of Kata's agent for a name of /proc/meminfo: `active_anon` for `Active(anon)`. */
export function memoryItem(name: string): string {
  const unusual = unusualNames.get(name);
  if (unusual !== undefined) return unusual;
  return name
    .replace(/\((.*)\)/, '_$1')
    .replace(/([a-z])([A-Z])/g, '$1_$2')
    .replace(/^([SK])([A-Z])/, '$1_$2')
    .toLowerCase();
}
