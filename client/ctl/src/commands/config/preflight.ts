import { preflight, type Preflight, type RefusedStep, type RuntimePreflight } from '@kata-agent/analysis';
import {
  type CommandDefinition,
  ExitCode,
  printReport,
  renderTable,
  type Style,
  styleFor,
  wrap,
} from '@kata-agent/cli';
import {
  listenerOf,
  listenerOption,
  runtimeNames,
  kataConfigOption,
  knownOf,
  runtimeOf,
  snapshotterOf,
} from './pod-files.js';
import { loadedFile } from './load-file.js';

export const configPreflight: CommandDefinition = {
  path: 'config preflight',
  summary: 'check how far pods start under a configuration, and which kubectl features fail',
  details: [
    'Goes through the calls that each Kata runtime makes for every pod, in order. Prints the first denied call that stops the pod, the denied calls that the runtime ignores, and the kubectl features that will not work.',
    'Also prints the storage drivers, options and device types that the agent refuses with any configuration, and the pods that need them.',
    'Exits with 4 if pods start with none of the runtimes. To check one workload, rules included, use config check --pod.',
  ],
  operands: [{ syntax: '<file>', description: 'a configuration in TOML' }],
  options: [
    listenerOption,
    kataConfigOption,
    {
      flags: '--runtime <name>',
      description: 'only this runtime: go, rs for runtime-rs, or remote for peer pods (default: go and rs)',
      choices: runtimeNames,
    },
    {
      flags: '--guest <kind>',
      description:
        'whether the host shares files with the guest; none for confidential guests and peer pods (default: shared-fs)',
      choices: ['shared-fs', 'confidential'],
    },
    {
      flags: '--snapshotter <name>',
      description: "containerd's snapshotter: with erofs and --runtime rs no image is pulled in the guest",
      choices: ['erofs'],
    },
  ],
  examples: [
    {
      line: 'kata-agent-ctl config preflight examples/confidential.toml',
      description: 'Pods run; kubectl logs does not work.',
    },
  ],
  formats: true,
  run: async (invocation) => {
    const { io, operands, options } = invocation;
    const file = operands[0] ?? '';
    const configuration = await loadedFile(file, invocation);
    const listener = listenerOf(options, configuration);
    const known = knownOf(options);
    const { guest } = known;
    const runtime = options.text('kataConfig') === undefined ? runtimeOf(options) : known.runtime;
    const report = preflight(configuration, {
      ...(listener === undefined ? {} : { listener }),
      ...(runtime === undefined ? {} : { runtimes: [runtime] }),
      guest,
      ...snapshotterOf(options, runtime),
    });
    const style = styleFor(io.stdout, io.environment);
    const value = { ...report, underRules: Object.fromEntries(report.underRules) };
    const place = configuration.listeners.length > 1 ? `${file}, listener ${report.listener}` : file;
    await printReport(invocation, value, (width) => preflightText(place, report, style, width));
    const broken = report.runtimes.every(
      ({ breaks, refusedFeature }) => breaks !== undefined || refusedFeature !== undefined,
    );
    return broken ? ExitCode.Mismatch : ExitCode.Success;
  },
};

const names = { go: 'the Go runtime', rs: 'runtime-rs', remote: 'peer pods' } as const;

function preflightText(place: string, report: Preflight, style: Style, width: number): string {
  const { runtimes, lost, kept, underRules, unbuilt } = report;
  return [
    ...runtimes.map((runtime) => runtimeText(place, runtime, style)),
    lost.length === 0 ? '' : `${style.bold('lost')}\n`,
    renderTable(lost.map(({ name, missing }) => [`  ${name}`, `without ${missing.join(', ')}`])),
    kept.length === 0 ? '' : `${style.bold('kept')}\n${wrap(kept.join(', '), width, '  ')}`,
    underRules.size === 0
      ? ''
      : `${style.bold('under rules')} (config check --pod evaluates them for a workload)\n`,
    renderTable([...underRules].map(([method, rules]) => [`  ${method}`, rules.join(', ')])),
    `${style.bold('refused with any configuration')} (config check --pod reports whether a workload needs it)\n`,
    renderTable(unbuilt.map(({ kind, name, pods }) => [`  ${kind} ${name}`, pods])),
  ].join('');
}

function runtimeText(place: string, report: RuntimePreflight, style: Style): string {
  const { runtime, goesOnWithout, sometimes } = report;
  const title = `${place}, ${names[runtime]}: `;
  const part = (label: string, steps: readonly RefusedStep[]): string =>
    steps.length === 0 ? '' : `  ${label}:\n${renderTable(steps.map(stepRow))}`;
  return [
    `${style.bold(title)}${resultText(report, style)}\n`,
    part('denied for every pod; pods run without them', goesOnWithout),
    part('denied for some pods', sometimes),
  ].join('');
}

function resultText({ breaks, refusedFeature }: RuntimePreflight, style: Style): string {
  if (breaks !== undefined)
    return `${style.red(`pods stop at ${breaks.call.method}`)} (${breaks.call.phase})\n  ${breaks.reason}`;
  if (refusedFeature === undefined) return style.green('pods run');
  const { kind, name } = refusedFeature;
  return `${style.red('pods stop at CreateContainer')} (create)\n  ${kind} ${name} is refused: [image] puller is "none"; help: write puller = "built-in" or "cdh" in [image]`;
}

function stepRow({ call }: RefusedStep): readonly string[] {
  const consequence = {
    fails: 'the runtime fails',
    continues: 'the runtime continues',
    repeats: 'the runtime retries forever',
  };
  return [`    ${call.method}`, `${call.condition ?? 'every pod'}: ${consequence[call.refused]}`];
}
