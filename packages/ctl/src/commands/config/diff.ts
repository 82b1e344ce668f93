import { diffConfigurations, opensAnything, renderDifferences } from '@kata-agent/analysis';
import type { CommandDefinition } from '../../cli/definition.js';
import { ExitCode } from '../../exit-code.js';
import { print } from '../../output/print.js';
import { styleFor } from '../../output/style.js';
import { loadedFile } from './loaded-file.js';

export const configDiff: CommandDefinition = {
  path: 'config diff',
  summary: 'say what a new configuration opens and closes',
  details: [
    'Compares what two configurations decide: listeners, the endpoints of each, rules, settings. Each difference opens something, closes something, or does neither; what cannot be told, such as a rule with another expression, counts as opening.',
    'Ends with 4 when anything is opened, so that a review can be asked for.',
  ],
  operands: [
    { syntax: '<old>', says: 'the configuration as it is' },
    { syntax: '<new>', says: 'the one that is to replace it' },
  ],
  examples: [
    {
      line: 'kata-agent-ctl config diff examples/confidential.toml examples/observe.toml',
      says: 'What would be opened and closed by putting the second in the place of the first.',
    },
  ],
  formats: true,
  run: async (invocation) => {
    const { io, operands } = invocation;
    const [old = '', now = ''] = operands;
    const differences = diffConfigurations(
      await loadedFile(old, invocation),
      await loadedFile(now, invocation),
    );
    const opens = opensAnything(differences);
    const style = styleFor(io.stdout, io.environment);
    const colors = { opens: style.red, closes: style.green, changes: style.bold };
    await print(invocation, { opens, differences }, () =>
      differences.length === 0
        ? 'no difference\n'
        : renderDifferences(differences, (text, effect) => colors[effect](text)),
    );
    return opens ? ExitCode.Mismatch : ExitCode.Fine;
  },
};
