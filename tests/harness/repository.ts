import { basename, join } from 'node:path';
import { fileURLToPath } from 'node:url';

/** The checkout's root; this file is compiled to tests/dist/harness. */
export const repository: string = fileURLToPath(new URL('../../../', import.meta.url));

/** The directory of the programs that `npm test` has bundled (dev/repository/src/tests/test-programs.ts); undefined: `node --test` runs the file. */
const bundled = process.env['KATA_TEST_PROGRAMS'];

/** The programs: bundled, or as `npx` runs the compiled packages. */
export const agentProgram: string = programAt('agent/server/bin/kata-agent.mjs');
export const ctlProgram: string = programAt('client/ctl/bin/kata-agent-ctl.mjs');
export const realmProgram: string = programAt('realm/program/bin/kata-realm.mjs');

function programAt(path: string): string {
  return bundled === undefined ? `${repository}${path}` : join(bundled, basename(path, '.mjs'));
}
