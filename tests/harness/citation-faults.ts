import { type Texts, titlesOf } from './documents.js';

/** Former names of pages, which citations must not use. */
const formerNames =
  /\b(?:MEASURED|CONFIGURATION|REQUIREMENTS|TRUST|DESIGN)\b|(?<![\w/-])(?:kata-facts|coco-facts|runtime-sequence)\b/g;

/** Files and directories of the repository that documents name in code spans, in full. */
const namedPath = /`((?:[\w.@-]+\/)+[\w.@-]*)`/g;

/**
 * Returns unresolved citations: an id of a requirement without a row, a missing page `docs/NAME.md` or record of
 * docs/adr, a section `docs/NAME.md, "TITLE"` that the page does not have, and in a document a missing path of code.
 */
export function citationFaults(
  texts: Texts,
  {
    ids,
    exists,
    roots,
  }: {
    readonly ids: readonly string[];
    readonly exists: (path: string) => boolean;
    /** First parts of paths in documents: directories of the repository. */
    readonly roots: readonly string[];
  },
): readonly string[] {
  const faults: string[] = [];
  for (const [path, written] of texts) {
    // A citation can continue in the next line of a comment.
    const text = written.replace(/\n[ \t]*(?:\*|\/\/|#)? ?/g, ' ');
    for (const [id] of text.matchAll(/\b[RS]\d+\b/g))
      if (!ids.includes(id)) faults.push(`${path} cites ${id}, which has no row`);
    for (const [, page = ''] of text.matchAll(/(?<![\w./-])(docs\/(?!NAME\b)[\w./-]*[\w-])/g))
      if (!exists(page)) faults.push(`${path} cites ${page}, which does not exist`);
    for (const [, page = '', title = ''] of text.matchAll(/(?<![\w./-])(docs\/[\w/-]+\.md), "([^"]+)"/g)) {
      const there = texts.get(page);
      if (there !== undefined && !titlesOf(there).includes(title))
        faults.push(`${path} cites ${page}, "${title}", and the page has no such section`);
    }
    const names = path.endsWith('.md') ? [] : text.match(formerNames);
    for (const name of names ?? [])
      faults.push(`${path} cites ${name}, which is not a page: write docs/NAME.md`);
    if (path.startsWith('docs/') || path === 'README.md' || path === 'CONTRIBUTING.md')
      for (const [, named = ''] of written.matchAll(namedPath)) {
        const first = named.split('/')[0] ?? '';
        if (roots.includes(first) && !exists(named))
          faults.push(`${path} names ${named}, which does not exist`);
      }
  }
  return faults;
}
