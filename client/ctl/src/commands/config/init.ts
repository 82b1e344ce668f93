import { type ProfileName, profiles } from '@kata-agent/analysis';
import { type CommandDefinition, ExitCode, print } from '@kata-agent/cli';

const first: ProfileName = 'minimal';

export const configInit: CommandDefinition = {
  path: 'config init',
  summary: 'print a commented configuration to start from',
  details: profiles.map(({ name, summary }) => `${name}: ${summary}.`),
  options: [
    {
      flags: '--profile <name>',
      description: 'the profile',
      choices: profiles.map(({ name }) => name),
      fallback: first,
    },
  ],
  examples: [
    {
      line: 'kata-agent-ctl config init --profile minimal > config.toml',
      description: 'Then edit and check it: kata-agent-ctl config check config.toml.',
    },
  ],
  formats: true,
  run: async (invocation) => {
    const wanted = invocation.options.text('profile') ?? first;
    const profile = profiles.find(({ name }) => name === wanted);
    if (profile === undefined) throw new Error(`unknown profile ${wanted}`);
    const { name, summary, text } = profile;
    await print(invocation, { profile: name, summary, text }, () => text);
    return ExitCode.Success;
  },
};
