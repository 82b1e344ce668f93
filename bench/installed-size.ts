import { readdirSync, statSync } from 'node:fs';
import { dirname, join } from 'node:path';

import { bundledClient, bundledRealm } from './agent-program.js';
import type { Row } from './row.js';

/** More means that a program brings libraries of another one: NATS and OpenTelemetry belong to kata-realm alone. */
const maxClientMegabytes = 4;

/** Measures what is installed of the programs that run beside no guest: the directories that `npm run bundle` writes. */
export function measureInstalledSize(): readonly Row[] {
  return [
    ...rowsOf('kata-agent-ctl', dirname(bundledClient()), { max: maxClientMegabytes }),
    ...rowsOf('kata-realm', dirname(bundledRealm())),
  ];
}

function rowsOf(name: string, directory: string, goal?: Row['goal']): readonly Row[] {
  const sizes = readdirSync(directory, { recursive: true, withFileTypes: true })
    .filter((entry) => entry.isFile())
    .map((entry) => statSync(join(entry.parentPath, entry.name)).size);
  const megabytes = sizes.reduce((sum, size) => sum + size, 0) / 1e6;
  return [
    { what: `${name}: installed`, unit: 'MB', ours: megabytes, ...(goal === undefined ? {} : { goal }) },
    { what: `${name}: installed`, unit: 'files', ours: sizes.length },
  ];
}
