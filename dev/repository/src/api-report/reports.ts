// The API reports of the packages that others can use alone.
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { root } from '@kata-agent/setup/bootstrap';
import { apiReport, exportedDeclarations } from './declarations.js';

/** The packages that others can use alone; lib/config and lib/gate are the policy language. */
const packages = ['lib/ttrpc', 'lib/tlog', 'lib/x509', 'lib/config', 'lib/gate'];

/** Entry points for tests of this repository. */
const internal = new Set(['./testing']);

interface Manifest {
  readonly name: string;
  readonly exports: Readonly<Record<string, { readonly types: string }>>;
}

/** Returns the texts of the reports, by their path from the root. */
export function apiReports(): Readonly<Record<string, string>> {
  return Object.fromEntries(
    packages.map((directory) => {
      const { name, exports } = JSON.parse(
        readFileSync(join(root, directory, 'package.json'), 'utf8'),
      ) as Manifest;
      const entryPoints = Object.entries(exports)
        .filter(([entryPoint]) => !internal.has(entryPoint))
        .map(([entryPoint, { types }]) => {
          const read = (path: string): string => readFileSync(path, 'utf8');
          return [entryPoint, exportedDeclarations(join(root, directory, types), read)] as const;
        });
      return [`${directory}/api-report.md`, apiReport(name, entryPoints)];
    }),
  );
}
