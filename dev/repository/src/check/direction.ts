// Fails if a package lists a dependency that package-directions.ts does not allow. knip fails if a file imports
// a package that its own package does not list.
import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { root } from '@kata-agent/setup/bootstrap';
import { mayImport, toolsMayImport } from './package-directions.js';

/** The only package that may depend on koffi. */
const koffiPackage = 'linux';
const scope = '@kata-agent/';
const toolPrefix = 'tool-';

/** Returns a message for each dependency that a package lists and must not have. */
function problemsOf(
  directory: string,
  name: string,
  allowed: readonly string[] | undefined,
): readonly string[] {
  if (allowed === undefined)
    return [`${directory}/${name} has no row in tools/repository/src/check/package-directions.ts`];
  const manifest: { readonly dependencies?: Readonly<Record<string, string>> } = JSON.parse(
    readFileSync(join(root, directory, name, 'package.json'), 'utf8'),
  );
  return Object.keys(manifest.dependencies ?? {}).flatMap((dependency) => {
    if (dependency === 'koffi' && name !== koffiPackage)
      return [`${name} must not import koffi: only ${koffiPackage} may`];
    const own = dependency.startsWith(scope) ? dependency.slice(scope.length) : undefined;
    const isForbidden = own !== undefined && !allowed.includes(own);
    return isForbidden ? [`${name} must not import ${own}`] : [];
  });
}

/** Returns the messages for all packages and tools. */
function allProblems(): readonly string[] {
  const namesIn = (directory: string): readonly string[] => readdirSync(join(root, directory));
  const ofPackages = namesIn('packages').flatMap((name) => problemsOf('packages', name, mayImport[name]));
  const packages = ['setup', ...Object.keys(mayImport)];
  const ofTools = namesIn('tools').flatMap((name) => {
    const tools = toolsMayImport[name]?.map((other) => `${toolPrefix}${other}`);
    return problemsOf('tools', name, tools === undefined ? undefined : [...packages, ...tools]);
  });
  return [...ofPackages, ...ofTools];
}

const problems = allProblems();
for (const problem of problems) console.error(problem);
process.exit(problems.length === 0 ? 0 : 1);
