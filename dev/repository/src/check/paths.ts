// Do the paths of this repository that code names in strings and patterns exist? The compiler follows imports, and nothing followed a script
// that a test starts, an entry of a bundle, or the pattern of a bundler's plugin: a moved file left them behind.

/** A path that a line of a file names. */
export interface NamedPath {
  readonly file: string;
  /** From 1. */
  readonly line: number;
  readonly path: string;
}

const products = 'lib|agent|client|realm|guest-image|dev';
const ending = '(?:ts|js|mjs|cjs)';
const named = new RegExp(
  `(?<![\\w.-]/?)((?:(?:${products})/[\\w-]+/(?:src|dist|bin)|tests|bench|fuzz|scripts)/[\\w./-]+\\.${ending})(?![\\w-])`,
  'g',
);

/** Returns the paths in a text from the repository's root; those of compiled files too. A pattern's `[\\/]` and `\.` are a path's. */
export function namedPaths(file: string, text: string): readonly NamedPath[] {
  return text.split('\n').flatMap((line, index) =>
    [...line.replaceAll('[\\\\/]', '/').replaceAll('\\.', '.').matchAll(named)].map(([, path = '']) => ({
      file,
      line: index + 1,
      path,
    })),
  );
}

/** Returns the files of the repository of which a named path can be: the file, or the source of a compiled one. */
function sourcesOf(path: string): readonly string[] {
  const source = path.replace(/\.js$/, '.ts');
  return [path, source.replace('/dist/', '/src/'), source.replace('/dist/', '/')];
}

/** Returns the named paths that no file of the repository is. */
export function missingPaths(
  texts: ReadonlyMap<string, string>,
  files: ReadonlySet<string>,
): readonly NamedPath[] {
  return [...texts]
    .flatMap(([file, text]) => namedPaths(file, text))
    .filter(({ path }) => !sourcesOf(path).some((source) => files.has(source)));
}
