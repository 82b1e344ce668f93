import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { repository } from './repository.js';

/** Returns the code blocks of a language in a section of `docs/guest-image.md`, which a reader would copy. */
export function guideBlocks(heading: string, language: string): readonly string[] {
  const page = readFileSync(join(repository, 'docs', 'guest-image.md'), 'utf8');
  const section = page.split(/^##+ /m).find((text) => text.startsWith(`${heading}\n`));
  if (section === undefined) throw new Error(`docs/guest-image.md has no section ${heading}`);
  const pattern = new RegExp(`^\`\`\`${language}\\n(.*?)^\`\`\`$`, 'gms');
  return [...section.matchAll(pattern)].map(([, block = '']) => block);
}
