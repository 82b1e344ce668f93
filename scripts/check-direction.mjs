// Holds each package's dependencies to scripts/package-directions.mjs: a package that asks for more fails here, and knip
// fails when a file imports what its package does not list.
import { readFileSync, readdirSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { mayImport } from './package-directions.mjs';

const root = fileURLToPath(new URL('..', import.meta.url));
const onlyKoffi = 'linux';

const problems = [];
for (const name of readdirSync(join(root, 'packages'))) {
  const allowed = mayImport[name];
  if (allowed === undefined) {
    problems.push(`packages/${name} has no row in scripts/package-directions.mjs`);
    continue;
  }
  const manifest = JSON.parse(readFileSync(join(root, 'packages', name, 'package.json'), 'utf8'));
  for (const dependency of Object.keys(manifest.dependencies ?? {})) {
    const own = dependency.startsWith('@kata-agent/') ? dependency.slice('@kata-agent/'.length) : undefined;
    if (own !== undefined && !allowed.includes(own)) problems.push(`${name} may not import ${own}`);
    if (dependency === 'koffi' && name !== onlyKoffi)
      problems.push(`${name} may not import koffi: only linux does`);
  }
}
for (const problem of problems) console.error(problem);
process.exit(problems.length === 0 ? 0 : 1);
