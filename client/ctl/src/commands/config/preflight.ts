import {
  preflight,
  type Preflight,
  preflightWorkload,
  type RefusedStep,
  type RuntimePreflight,
  type WorkloadPreflight,
} from '@kata-agent/analysis';
import type { Configuration } from '@kata-agent/config';
import {
  type CommandDefinition,
  ExitCode,
  printReport,
  renderTable,
  type Style,
  styleFor,
  wrap,
} from '@kata-agent/cli';
import { programName } from '../../program-name.js';
import { checkPods } from './check-pods.js';
import { loadedFile } from './load-file.js';
import { readManifestFiles } from './manifest-files.js';
import {
  inputNotes,
  knownOf,
  listenerOf,
  listenerOption,
  type Pods,
  readPods,
  runtimeOf,
  runtimesOptions,
  snapshotterOf,
} from './pod-files.js';
import { runtimeTitles, workloadPreflightText, workloadPreflightValue } from './workload-text.js';

export const configPreflight: CommandDefinition = {
  path: 'config preflight',
  summary: 'check how far pods start under a configuration, and which kubectl features fail',
  details: [
    'Goes through the calls that each Kata runtime makes for every pod, in order. Prints the first denied call that stops the pod, the denied calls that the runtime ignores, and the kubectl features that will not work.',
    'Also prints the storage drivers, options and device types that the agent refuses with any configuration, and the pods that need them.',
    'With Kubernetes objects, goes through the calls of each of their workloads instead, rules included: prints where its pod stops with each runtime, or what it runs without. config check --pod also prints the smallest change that fixes it.',
    'Exits with 4 if pods start with none of the runtimes, or one of the workloads does not.',
  ],
  operands: [
    { syntax: '<file>', description: 'a configuration in TOML' },
    {
      syntax: '[pods...]',
      description: 'Kubernetes objects: files, directories, or - for standard input',
    },
  ],
  options: [listenerOption, ...runtimesOptions],
  examples: [
    {
      line: 'kata-agent-ctl config preflight examples/confidential.toml',
      description: 'Pods run; kubectl logs does not work.',
    },
    {
      line: 'kata-agent-ctl config preflight config.toml pod.yaml --runtime rs',
      description: 'Prints whether this pod starts, or the call at which it stops.',
    },
  ],
  formats: true,
  run: async (invocation) => {
    const { io, operands, options } = invocation;
    const [file = '', ...paths] = operands;
    const pods = paths.length === 0 ? undefined : await readPods(options, readManifestFiles(paths));
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
    const underRules = Object.fromEntries(report.underRules);
    const several = configuration.listeners.length > 1;
    if (pods === undefined) {
      const place = several ? `${file}, listener ${report.listener}` : file;
      await printReport(invocation, { ...report, underRules }, (width) =>
        preflightText(place, report, style, width),
      );
      return report.runtimes.some(startsPods) ? ExitCode.Success : ExitCode.Mismatch;
    }
    if (!options.json)
      for (const note of inputNotes(pods)) io.stderr.write(`${programName}: note: ${note}\n`);
    const workloads = await preflightPods(configuration, pods, report);
    const value = { ...report, underRules, workloads: workloads.flat().map(workloadPreflightValue) };
    const on = several ? report.listener : undefined;
    await printReport(
      invocation,
      value,
      (width) =>
        workloads
          .flat()
          .map((each) => workloadPreflightText(each, on, style))
          .join('') + abilitiesText(report, style, width),
    );
    const start = workloads.every((byRuntime) => byRuntime.some(({ starts }) => starts));
    return start ? ExitCode.Success : ExitCode.Mismatch;
  },
};

/** Returns how far each workload gets, with each of the runtimes. */
async function preflightPods(
  configuration: Configuration,
  pods: Pods,
  { listener, runtimes }: Preflight,
): Promise<readonly (readonly WorkloadPreflight[])[]> {
  const checked: (readonly WorkloadPreflight[])[] = [];
  for (const { runtime } of runtimes) {
    const setup = { ...pods.setup, runtime };
    const reports = await checkPods(configuration, { ...pods, setup }, listener);
    checked.push(reports.map((report) => preflightWorkload(report, runtime)));
  }
  return pods.workloads.map((_, index) => checked.flatMap((reports) => reports.slice(index, index + 1)));
}

function startsPods({ breaks, refusedFeature }: RuntimePreflight): boolean {
  return breaks === undefined && refusedFeature === undefined;
}

function preflightText(place: string, report: Preflight, style: Style, width: number): string {
  const { runtimes, underRules, unbuilt } = report;
  return [
    ...runtimes.map((runtime) => runtimeText(place, runtime, style)),
    abilitiesText(report, style, width),
    underRules.size === 0 ? '' : `${style.bold('under rules')} (name a workload to evaluate them)\n`,
    renderTable([...underRules].map(([method, rules]) => [`  ${method}`, rules.join(', ')])),
    `${style.bold('refused with any configuration')} (name a workload to see whether it needs it)\n`,
    renderTable(unbuilt.map(({ kind, name, pods }) => [`  ${kind} ${name}`, pods])),
  ].join('');
}

function abilitiesText({ lost, kept }: Preflight, style: Style, width: number): string {
  return [
    lost.length === 0 ? '' : `${style.bold('lost')}\n`,
    renderTable(lost.map(({ name, missing }) => [`  ${name}`, `without ${missing.join(', ')}`])),
    kept.length === 0 ? '' : `${style.bold('kept')}\n${wrap(kept.join(', '), width, '  ')}`,
  ].join('');
}

function runtimeText(place: string, report: RuntimePreflight, style: Style): string {
  const { runtime, goesOnWithout, sometimes } = report;
  const title = `${place}, ${runtimeTitles[runtime]}: `;
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
