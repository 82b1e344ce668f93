import { configurationSchema } from '@kata-agent/analysis';
import { type CommandDefinition, ExitCode, write } from '@kata-agent/cli';

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
