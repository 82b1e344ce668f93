import { existsSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { products } from '@kata-agent/setup/products';
import { repository } from './repository.js';
import { sourceFiles } from './source-files.js';

/** Texts of the repository by path from its root. */
export type Texts = ReadonlyMap<string, string>;

export const directories: readonly string[] = [
  ...products,
  'tests',
  'scripts',
  'image',
  'bench',
  'fuzz',
  'examples',
  'docs',
];
const rootFiles = ['README.md', 'CHANGELOG.md', 'CONTRIBUTING.md', '.ci/run'];

/** Returns all files that can cite a page: code, tests, scripts, examples and documents. */
export function citingTexts(): Texts {
  const paths = directories.flatMap((directory) =>
    sourceFiles(directory, /\.(ts|mjs|cjs|md|toml|yaml|sh|proto|go|service)$/),
  );
  return new Map(
    [...rootFiles, ...paths].map((path) => [path, readFileSync(join(repository, path), 'utf8')]),
  );
}

/** Returns the documents among them. */
export function documentsOf(texts: Texts): Texts {
  return new Map([...texts].filter(([path]) => path.endsWith('.md')));
}

export function exists(path: string): boolean {
  return existsSync(join(repository, path));
}

/** Returns a document without code blocks and spans, which contain no links or headings. */
export function proseOf(text: string): string {
  return text
    .replace(/^( *)```[^]*?^\1```/gm, '')
    .replace(/`[^`\n]*`/g, (code) => code.replace(/[[\]()#]/g, ''));
}

/** Returns the titles of a document's sections, as written. */
export function titlesOf(text: string): readonly string[] {
  const blocks = text.replace(/^( *)```[^]*?^\1```/gm, '');
  return [...blocks.matchAll(/^#{1,6} +(.*?) *$/gm)].map(([, title = '']) => title);
}
