import { diffConfigurations, opensAnything, renderDifferences } from '@kata-agent/analysis';
import { type CommandDefinition, ExitCode, printReport, styleFor } from '@kata-agent/cli';
import { loadedFile } from './load-file.js';

export const configDiff: CommandDefinition = {
  path: 'config diff',
  summary: 'compare two configurations: what the new one opens and closes',
  details: [
    'Compares listeners, the endpoints of each, rules and settings. Each difference opens something, closes something, or is neutral. A change whose effect is not known, such as a different rule expression, counts as opening.',
    'Exits with 4 if anything is opened, so that a pipeline can require a review.',
  ],
  operands: [
    { syntax: '<old>', description: 'the old configuration' },
    { syntax: '<new>', description: 'the new configuration' },
  ],
  examples: [
    {
      line: 'kata-agent-ctl config diff examples/confidential.toml examples/observe.toml',
      description: 'Compares the second configuration with the first.',
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
    await printReport(invocation, { opens, differences }, () =>
      differences.length === 0
        ? 'no difference\n'
        : renderDifferences(differences, (text, effect) => colors[effect](text)),
    );
    return opens ? ExitCode.Mismatch : ExitCode.Success;
  },
};
