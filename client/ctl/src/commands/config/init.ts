import { configurationSchema, type ProfileName, profiles } from '@kata-agent/analysis';
import { type CommandDefinition, ExitCode, print, write } from '@kata-agent/cli';

export const configSchema: CommandDefinition = {
  path: 'config schema',
  summary: 'print the JSON Schema of configurations, for TOML editors',
  details: [
    'The schema lets an editor complete keys and names, show their documentation, and underline unknown ones. Taplo and Even Better TOML read its path from the first line of a configuration: #:schema ./kata-agent.schema.json',
  ],
  examples: [
    {
      line: 'kata-agent-ctl config schema > kata-agent.schema.json',
      description: 'Writes the file that the first line of a configuration can name.',
    },
  ],
  run: async ({ io }) => {
    await write(io.stdout, `${JSON.stringify(configurationSchema(), null, 2)}\n`);
    return ExitCode.Success;
  },
};

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
