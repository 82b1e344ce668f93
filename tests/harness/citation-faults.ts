import { type Texts, titlesOf } from './documents.js';

/** Names by which pages were once cited that were not in the repository. */
const formerNames =
  /\b(?:MEASURED|CONFIGURATION|REQUIREMENTS|TRUST|DESIGN)\b|(?<![\w/-])(?:kata-facts|coco-facts|runtime-sequence)\b/g;

/** Files and directories of the repository that documents name in code spans, also without `packages/` before them. */
const namedPath = /`((?:[\w.@-]+\/)+[\w.@-]*)`/g;

/**
 * Citations that lead nowhere: an id of a requirement without a row, a page `docs/NAME.md` or a record of docs/adr that is not
 * there, a section `docs/NAME.md, "TITLE"` that the page does not have, and in a document a path of code that is not
 * there.
 */
export function citationFaults(
  texts: Texts,
  {
    ids,
    isThere,
    roots,
  }: {
    readonly ids: readonly string[];
    readonly isThere: (path: string) => boolean;
    /** Where a path in a document can begin: directories of the repository and, below `packages`, the packages. */
    readonly roots: readonly string[];
  },
): readonly string[] {
  const faults: string[] = [];
  for (const [path, written] of texts) {
    // A citation may go on in the next line of a comment.
    const text = written.replace(/\n[ \t]*(?:\*|\/\/|#)? ?/g, ' ');
    for (const [id] of text.matchAll(/\b[RS]\d+\b/g))
      if (!ids.includes(id)) faults.push(`${path} cites ${id}, which has no row`);
    for (const [, page = ''] of text.matchAll(/(?<![\w./-])(docs\/(?!NAME\b)[\w./-]*[\w-])/g))
      if (!isThere(page)) faults.push(`${path} cites ${page}, which is not there`);
    for (const [, page = '', title = ''] of text.matchAll(/(?<![\w./-])(docs\/[\w/-]+\.md), "([^"]+)"/g)) {
      const there = texts.get(page);
      if (there !== undefined && !titlesOf(there).includes(title))
        faults.push(`${path} cites ${page}, "${title}", and the page has no such section`);
    }
    const names = path.endsWith('.md') ? [] : text.match(formerNames);
    for (const name of names ?? [])
      faults.push(`${path} cites ${name}, which is no page: write docs/NAME.md`);
    if (path.startsWith('docs/') || path === 'README.md' || path === 'CONTRIBUTING.md')
      for (const [, named = ''] of written.matchAll(namedPath)) {
        const first = named.split('/')[0] ?? '';
        if (roots.includes(first) && !isThere(named) && !isThere(`packages/${named}`))
          faults.push(`${path} names ${named}, which is not there`);
      }
  }
  return faults;
}
