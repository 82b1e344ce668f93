// Fails if the packages that a package depends on are not those of package-directions.ts, or if a product imports another
// one than it may. knip fails if a file imports a package that its own package does not list, or if none imports one that it
// lists.
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { root } from '@kata-agent/setup/bootstrap';
import { packageDirectories } from '@kata-agent/setup/products';
import { imports, productsMayImport } from './package-directions.js';

const table = 'dev/repository/src/check/package-directions.ts';
/** The only package that may depend on koffi. */
const koffiPackage = 'lib/linux';

interface Manifest {
  readonly name: string;
  readonly dependencies?: Readonly<Record<string, string>>;
}

const manifests: ReadonlyMap<string, Manifest> = new Map(
  packageDirectories.map((directory) => [
    directory,
    JSON.parse(readFileSync(join(root, directory, 'package.json'), 'utf8')) as Manifest,
  ]),
);
const directories: ReadonlyMap<string, string> = new Map(
  [...manifests].map(([directory, { name }]) => [name, directory]),
);

const productOf = (directory: string): string => directory.split('/')[0] ?? '';

/** Returns a message for each dependency that a package lists and must not have, or has a row for and does not list. */
function problemsOf(directory: string, { dependencies = {} }: Manifest): readonly string[] {
  const allowed = imports[directory];
  if (allowed === undefined) return [`${directory} has no row in ${table}`];
  const listed = Object.keys(dependencies).flatMap((name) => directories.get(name) ?? []);
  const product = productOf(directory);
  const products = [product, ...(productsMayImport[product] ?? [])];
  return [
    ...('koffi' in dependencies && directory !== koffiPackage
      ? [`${directory} must not import koffi: only ${koffiPackage} may`]
      : []),
    ...listed
      .filter((other) => !allowed.includes(other))
      .map((other) => `${directory} must not import ${other}`),
    ...listed
      .filter((other) => !products.includes(productOf(other)))
      .map((other) => `${directory} must not import ${other}: ${product} imports ${products.join(', ')}`),
    ...allowed
      .filter((other) => !listed.includes(other))
      .map((other) => `${directory} does not import ${other}: remove it from its row in ${table}`),
  ];
}

const problems = [
  ...[...manifests].flatMap(([directory, manifest]) => problemsOf(directory, manifest)),
  ...Object.keys(imports)
    .filter((directory) => !manifests.has(directory))
    .map((directory) => `${directory} has a row in ${table} and is no package`),
];
for (const problem of problems) console.error(problem);
process.exit(problems.length === 0 ? 0 : 1);
