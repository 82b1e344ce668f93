import { fileURLToPath } from 'node:url';

/** The checkout's root; this file is compiled to tests/dist/harness. */
export const repository: string = fileURLToPath(new URL('../../../', import.meta.url));

/** The directory of the programs that `npm test` has bundled (dev/repository/src/tests/test-programs.ts); undefined: `node --test` runs the file. */
const bundled = process.env['KATA_TEST_PROGRAMS'];

/** The programs: bundled, or as `npx` runs the compiled packages. */
export const agentProgram: string = programOf('agent', 'kata-agent', 'agent/server');
export const ctlProgram: string = programOf('ctl', 'kata-agent-ctl', 'client/ctl');
export const realmProgram: string = programOf('realm', 'kata-realm', 'realm/program');

function programOf(directory: string, name: string, packageDirectory: string): string {
  return bundled === undefined
    ? `${repository}${packageDirectory}/bin/${name}.mjs`
    : `${bundled}/${directory}/${name}.mjs`;
}
