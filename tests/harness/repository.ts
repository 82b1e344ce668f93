import { fileURLToPath } from 'node:url';

/** The checkout's root; this file is compiled to tests/dist/harness. */
export const repository: string = fileURLToPath(new URL('../../../', import.meta.url));

/** The programs, as `npx` runs them. */
export const agentProgram: string = `${repository}agent/server/bin/kata-agent.mjs`;
export const ctlProgram: string = `${repository}client/ctl/bin/kata-agent-ctl.mjs`;
/** kata-realm, compiled. */
export const realmProgram: string = `${repository}realm/program/bin/kata-realm.mjs`;
