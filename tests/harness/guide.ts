import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { repository } from './repository.js';

/** A code block of a page, which a reader would copy or see. */
export interface PageBlock {
  /** The heading above it, without the signs. */
  readonly section: string;
  /** Its language, such as `sh`. */
  readonly language: string;
  readonly text: string;
  /** What its comment `# needs …` in the first line names: a test machine does not have it. */
  readonly needs: string | undefined;
}

/** Returns the code blocks of a page in their order. `page`: its path in the repository. */
export function pageBlocks(page: string): readonly PageBlock[] {
  const text = readFileSync(join(repository, page), 'utf8');
  let section = '';
  return [...text.matchAll(/^##+ (.*)$|^```(\w+)\n([^]*?)^```$/gm)].flatMap(
    ([, heading, language = '', code = '']) => {
      if (heading !== undefined) {
        section = heading;
        return [];
      }
      return [
        { section, language, text: code, needs: /^# needs (.*)$/.exec(code.split('\n', 1)[0] ?? '')?.[1] },
      ];
    },
  );
}

/** Returns the code blocks of a language in a section of `docs/guest-image.md`. */
export function guideBlocks(heading: string, language: string): readonly string[] {
  return pageBlocks('docs/guest-image.md')
    .filter((block) => block.section === heading && block.language === language)
    .map(({ text }) => text);
}

/**
 * Reports whether a text has an excerpt that a page shows: its lines one after the other, where `…` stands for any characters,
 * and a line of it alone for any lines.
 */
export function hasExcerpt(text: string, excerpt: string): boolean {
  const pattern = excerpt
    .trimEnd()
    .split('…')
    .map((part) => part.replace(/[.*+?^${}()|[\]\\]/g, '\\$&'));
  return new RegExp(`^${pattern.join('[^]*?')}`, 'm').test(text);
}
