import { configurationSchema } from '@kata-agent/analysis';
import type { CommandDefinition } from '../../cli/definition.js';
import { ExitCode } from '../../exit-code.js';
import { write } from '../../output/print.js';

export const configSchema: CommandDefinition = {
  path: 'config schema',
  summary: 'print the JSON Schema of configurations, for TOML editors',
  details: [
    'With it an editor completes keys and names, shows what each is for, and underlines what is not known. An editor with Taplo or Even Better TOML takes it from the first line of a configuration: #:schema ./kata-agent.schema.json',
  ],
  examples: [
    {
      line: 'kata-agent-ctl config schema > kata-agent.schema.json',
      says: 'The file that the first line of a configuration beside it can name.',
    },
  ],
  run: async ({ io }) => {
    await write(io.stdout, `${JSON.stringify(configurationSchema(), null, 2)}\n`);
    return ExitCode.Fine;
  },
};
