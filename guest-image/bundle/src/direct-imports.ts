// Imports each name of a package from the module that defines it, not from the package's index. An index names all modules of its
// package, so for the bundler a program that imports one name needs them all: modules that only an optional part uses would be
// loaded at the agent's start.
import { readFileSync } from 'node:fs';
import { readFile } from 'node:fs/promises';
import { createRequire } from 'node:module';
import { dirname, join, relative, sep } from 'node:path';
import { root } from '@kata-agent/setup/bootstrap';
import { packageDirectories } from '@kata-agent/setup/products';
import type { Plugin } from 'esbuild';

/** Returns the esbuild plugin. @param change changes the text of each module further. */
export function directImports(change: (text: string, path: string) => string = (text) => text): Plugin {
  return {
    name: 'direct-imports',
    setup(build) {
      build.onLoad({ filter: /[\\/]dist[\\/].*\.js$/ }, async ({ path }) =>
        isOwn(path)
          ? { contents: change(withDirectImports(await readFile(path, 'utf8'), path), path) }
          : undefined,
      );
    },
  };
}

/** A name, and the module that exports it. */
interface Definition {
  /** Absolute. */
  readonly module: string;
  readonly name: string;
}

/** `import { a, b as c } from '@kata-agent/x';`, as the compiler writes it. */
const packageImport = /^import \{ ([^}]+?),? \} from '(@kata-agent\/[^']+)';$/gm;

const reExport = /^export \{ ([^}]+?),? \} from '(\.[^']+)';$/gm;

/** Returns the text of a compiled module, with its imports from packages of this repository replaced. */
export function withDirectImports(text: string, path: string): string {
  return text.replace(packageImport, (statement, names: string, specifier: string) => {
    const exported = exportsOf(createRequire(path).resolve(specifier));
    const direct = parseNames(names).map(({ name, as }) => {
      const found = exported.get(name);
      return (
        found && `import { ${found.name} as ${as} } from ${JSON.stringify(specifierOf(found.module, path))};`
      );
    });
    // The specifier may name the module that defines a name, as those of the protocol do.
    return direct.includes(undefined) ? statement : direct.join(' ');
  });
}

/** Returns the names that a module exports from other modules of its package. */
function exportsOf(path: string): ReadonlyMap<string, Definition> {
  const found = new Map<string, Definition>();
  for (const [, names = '', specifier = ''] of readFileSync(path, 'utf8').matchAll(reExport)) {
    const module = join(dirname(path), specifier);
    const further = exportsOf(module);
    for (const { name, as } of parseNames(names)) found.set(as, further.get(name) ?? { module, name });
  }
  return found;
}

function parseNames(names: string): readonly { readonly name: string; readonly as: string }[] {
  return names.split(', ').map((each) => {
    const [name = '', as = name] = each.split(' as ');
    return { name, as };
  });
}

/** Returns what a module writes to import another one: a relative path, as in the compiled modules. */
function specifierOf(module: string, from: string): string {
  const path = relative(dirname(from), module);
  return path.startsWith('.') ? path : `./${path}`;
}

const directories: readonly string[] = packageDirectories.map((each) => join(root, each) + sep);

/** Reports whether a module is of this repository's packages. @param path absolute, without links */
export function isOwn(path: string): boolean {
  return directories.some((directory) => path.startsWith(directory));
}
