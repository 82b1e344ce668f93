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
 * Returns records of decisions whose name or title is a number, or that have no section, and texts that cite a decision by a number:
 * records are by topic, and cited by the name of their file and a section.
 */
export function decisionFaults(texts: Texts): readonly string[] {
  const faults: string[] = [];
  for (const [path, text] of texts) {
    for (const [number] of text.matchAll(/\b(?:ADR|[Dd]ecision) \d+|\badr\/\d[\w-]*|\[\d{4}\]\(/g))
      faults.push(`${path} cites a decision by a number: ${number}`);
    if (!path.startsWith('docs/adr/')) continue;
    if (!/^docs\/adr\/[a-z]+(?:-[a-z]+)*\.md$/.test(path)) faults.push(`${path} is not a name in words`);
    if (!/^# \p{L}/u.test(text)) faults.push(`${path} does not begin with its topic`);
    if (path !== 'docs/adr/dependencies.md' && !/^## /m.test(text)) faults.push(`${path} has no section`);
  }
  return faults;
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
