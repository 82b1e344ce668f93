import { preflight, type Preflight, type RefusedStep, type RuntimePreflight } from '@kata-agent/analysis';
import type { Configuration } from '@kata-agent/config';
import type { CommandDefinition } from '../../cli/definition.js';
import { CommandError } from '../../command-error.js';
import { ExitCode } from '../../exit-code.js';
import { print } from '../../output/print.js';
import { type Style, styleFor } from '../../output/style.js';
import { renderTable } from '../../output/table.js';
import { wrap } from '../../output/wrap.js';
import { loadedFile } from './loaded-file.js';

const width = 100;

export const configPreflight: CommandDefinition = {
  path: 'config preflight',
  summary: 'say how far pods get under a configuration, and what of kubectl is lost',
  details: [
    "Goes through the calls that each of Kata's runtimes makes for every pod, in its order: the first that is refused and that the runtime does not survive, and those that it does without. Then what people can no longer do with pods.",
    'Ends with 4 when pods start with neither runtime. For one workload, rules included, use config check --pod.',
  ],
  operands: [{ syntax: '<file>', says: 'a configuration in TOML' }],
  options: [{ flags: '--listener <name>', says: 'the listener that the runtime calls; default: the first' }],
  examples: [
    {
      line: 'kata-agent-ctl config preflight examples/confidential.toml',
      says: 'Pods run; kubectl logs does not.',
    },
  ],
  formats: true,
  run: async (invocation) => {
    const { io, operands, options } = invocation;
    const file = operands[0] ?? '';
    const configuration = await loadedFile(file, invocation);
    const listener = options.text('listener');
    if (listener !== undefined) known(listener, configuration);
    const report = preflight(configuration, listener);
    const style = styleFor(io.stdout, io.environment);
    const value = { ...report, underRules: Object.fromEntries(report.underRules) };
    await print(invocation, value, () => preflightText(file, report, style));
    const broken = report.runtimes.every(({ breaks }) => breaks !== undefined);
    return broken ? ExitCode.Mismatch : ExitCode.Fine;
  },
};

/** A listener that does not exist serves nothing: a misspelt name must not be taken for a closed one. */
function known(listener: string, { listeners }: Configuration): void {
  const names = listeners.map(({ name }) => name);
  if (names.includes(listener)) return;
  throw new CommandError(ExitCode.Usage, `--listener '${listener}': the configuration has no such listener`, {
    help: [`it has: ${names.join(', ')}`],
  });
}

const names = { go: 'the runtime in Go', rs: 'runtime-rs' } as const;

function preflightText(file: string, report: Preflight, style: Style): string {
  const { runtimes, lost, kept, underRules } = report;
  return [
    ...runtimes.map((runtime) => runtimeText(file, runtime, style)),
    lost.length === 0 ? '' : `${style.bold('lost')}\n`,
    renderTable(lost.map(({ name, missing }) => [`  ${name}`, `without ${missing.join(', ')}`])),
    kept.length === 0 ? '' : `${style.bold('kept')}\n${wrap(kept.join(', '), width, '  ')}`,
    underRules.size === 0
      ? ''
      : `${style.bold('under rules')} (config check --pod evaluates them for a workload)\n`,
    renderTable([...underRules].map(([method, rules]) => [`  ${method}`, rules.join(', ')])),
  ].join('');
}

function runtimeText(
  file: string,
  { runtime, breaks, goesOnWithout, sometimes }: RuntimePreflight,
  style: Style,
): string {
  const title = `${file}, ${names[runtime]}: `;
  const verdict =
    breaks === undefined
      ? style.green('pods run')
      : `${style.red(`pods stop at ${breaks.call.method}`)} (${breaks.call.phase})\n  ${breaks.reason}`;
  const part = (label: string, steps: readonly RefusedStep[]): string =>
    steps.length === 0 ? '' : `  ${label}:\n${renderTable(steps.map(stepRow))}`;
  return [
    `${style.bold(title)}${verdict}\n`,
    part('refused to every pod, which runs without', goesOnWithout),
    part('refused to some pods', sometimes),
  ].join('');
}

function stepRow({ call }: RefusedStep): readonly string[] {
  const consequence = {
    fails: 'the runtime gives up',
    'goes on': 'it goes on',
    repeats: 'it asks again, for ever',
  };
  return [`    ${call.method}`, `${call.condition ?? 'every pod'}: ${consequence[call.refused]}`];
}
