import type { Program } from '@kata-agent/cli';
import { commandGroups, commands } from './commands/index.js';
import { programName } from './program-name.js';

export const program: Program = {
  name: programName,
  description: 'Calls a Kata agent, and checks its configurations and audit logs, from outside the guest.',
  example: `${programName} check --address unix:///run/agent.sock`,
  groups: commandGroups,
  commands,
  moved: [
    { path: 'realm serve', to: 'kata-realm serve' },
    { path: 'realm witness-key', to: 'kata-realm witness-key' },
    { path: 'audit collect', to: 'kata-realm collect' },
  ],
};
