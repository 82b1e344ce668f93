import { readdirSync } from 'node:fs';
import { hasCode } from '@kata-agent/linux';

/** The page sizes (`2MB`, `1GB`) for which a cgroup has a file `hugetlb.<size>.<suffix>`. */
export function hugePageSizes(directory: string, suffix: string): readonly string[] {
  const pattern = /^hugetlb\.([0-9]+[KMG]B)\.(.*)$/;
  return names(directory).flatMap((name) => {
    const match = pattern.exec(name);
    return match?.[1] !== undefined && match[2] === suffix ? [match[1]] : [];
  });
}

function names(directory: string): readonly string[] {
  try {
    return readdirSync(directory);
  } catch (error) {
    if (hasCode(error, 'ENOENT')) return [];
    throw error;
  }
}
