import { configurationSchema, type StarterName, starters } from '@kata-agent/analysis';
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

const first: StarterName = 'minimal';

export const configInit: CommandDefinition = {
  path: 'config init',
  summary: 'print a commented configuration to start from',
  details: starters.map(({ name, summary }) => `${name}: ${summary}.`),
  options: [
    {
      flags: '--starter <name>',
      description: 'the document to start from',
      choices: starters.map(({ name }) => name),
      fallback: first,
    },
  ],
  examples: [
    {
      line: 'kata-agent-ctl config init --starter minimal > config.toml',
      description: 'Then edit and check it: kata-agent-ctl config check config.toml.',
    },
  ],
  formats: true,
  run: async (invocation) => {
    const wanted = invocation.options.text('starter') ?? first;
    const starter = starters.find(({ name }) => name === wanted);
    if (starter === undefined) throw new Error(`unknown starter ${wanted}`);
    const { name, summary, text } = starter;
    await print(invocation, { starter: name, summary, text }, () => text);
    return ExitCode.Success;
  },
};
