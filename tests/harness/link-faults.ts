import { dirname, join, normalize } from 'node:path/posix';
import { proseOf, type Texts, titlesOf } from './documents.js';

/** Returns unresolved relative links between documents: no such file, or no such section in it. */
export function linkFaults(documents: Texts, exists: (path: string) => boolean): readonly string[] {
  const faults: string[] = [];
  for (const [path, text] of documents)
    for (const [, link = ''] of proseOf(text).matchAll(/\]\(([^)\s]+)\)/g)) {
      if (/^[a-z]+:/.test(link)) continue;
      const [file = '', anchor] = link.split('#');
      const target = file === '' ? path : normalize(join(dirname(path), file));
      if (!exists(target)) faults.push(`${path}: ${link} does not exist`);
      else if (anchor !== undefined && !anchorsOf(documents.get(target) ?? '').has(anchor))
        faults.push(`${path}: ${link} is not a section of that page`);
    }
  return faults;
}

/** Returns documents that an index omits, or lists more than once. */
export function indexFaults(index: string, documents: Texts): readonly string[] {
  const links = [...proseOf(documents.get(index) ?? '').matchAll(/\]\(([^)\s#]+)\)/g)].map(([, link = '']) =>
    normalize(join(dirname(index), link)),
  );
  return [...documents.keys()]
    .filter((path) => path !== index)
    .map((path) => [path, links.filter((link) => link === path).length] as const)
    .filter(([, count]) => count !== 1)
    .map(([path, count]) => `${index} names ${path} ${count} times`);
}

/**
 * Returns duplicates in the numbers of decisions, and differences between a record's name and title. Gaps are numbers that were
 * reserved for changes that are made at the same time.
 */
export function decisionFaults(documents: Texts): readonly string[] {
  const records = [...documents]
    .filter(([path]) => /^docs\/adr\/\d{4}-/.test(path))
    .toSorted(([a], [b]) => (a < b ? -1 : 1));
  const numberOf = (path: string): string => path.slice('docs/adr/'.length).slice(0, 4);
  return records.flatMap(([path, text], index) => {
    const [before] = records[index - 1] ?? [];
    const faults: string[] = [];
    if (before !== undefined && numberOf(before) === numberOf(path))
      faults.push(`${path} has the number of ${before}`);
    if (!text.startsWith(`# ${Number(numberOf(path))}. `))
      faults.push(`${path} has another number in its title`);
    return faults;
  });
}

/** Returns the anchors of a page's sections, as GitHub makes them. */
function anchorsOf(text: string): ReadonlySet<string> {
  const counts = new Map<string, number>();
  return new Set(
    titlesOf(text).map((title) => {
      const anchor = title
        .replace(/\[([^\]]*)\]\([^)]*\)/g, '$1')
        .toLowerCase()
        .replace(/[^\p{L}\p{N}\s_-]/gu, '')
        .replace(/\s/g, '-');
      const count = counts.get(anchor) ?? 0;
      counts.set(anchor, count + 1);
      return count === 0 ? anchor : `${anchor}-${count}`;
    }),
  );
}
