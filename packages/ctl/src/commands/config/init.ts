import { type ProfileName, profiles } from '@kata-agent/analysis';
import type { CommandDefinition } from '../../cli/definition.js';
import { ExitCode } from '../../exit-code.js';
import { print } from '../../output/print.js';

const first: ProfileName = 'minimal';

export const configInit: CommandDefinition = {
  path: 'config init',
  summary: 'print a configuration to start from, with its reasons as comments',
  details: profiles.map(({ name, summary }) => `${name}: ${summary}.`),
  options: [
    {
      flags: '--profile <name>',
      says: 'which one',
      choices: profiles.map(({ name }) => name),
      fallback: first,
    },
  ],
  examples: [
    {
      line: 'kata-agent-ctl config init --profile minimal > config.toml',
      says: 'Then change it, and check it: kata-agent-ctl config check config.toml.',
    },
  ],
  formats: true,
  run: async (invocation) => {
    const wanted = invocation.options.text('profile') ?? first;
    const profile = profiles.find(({ name }) => name === wanted);
    if (profile === undefined) throw new Error(`no profile is called ${wanted}`);
    const { name, summary, text } = profile;
    await print(invocation, { profile: name, summary, text }, () => text);
    return ExitCode.Fine;
  },
};
