import { checkWorkload, type WorkloadReport } from '@kata-agent/analysis';
import { type MethodName, methodNames } from '@kata-agent/catalogue';
import type { Configuration } from '@kata-agent/config';
import { compileGate, privilegedContainers } from '@kata-agent/gate';
import type { CommandDefinition } from '../../cli/definition.js';
import { ExitCode } from '../../exit-code.js';
import { print } from '../../output/print.js';
import { type Style, styleFor } from '../../output/style.js';
import { wrap } from '../../output/wrap.js';
import { countOf, printDiagnostics } from './diagnostics.js';
import { loadFile } from './load-file.js';
import { podOptions, type Pods, readPods } from './pod-files.js';
import { privilegedNote } from './privileged-note.js';
import { workloadText, workloadValue } from './workload-text.js';

const width = 100;

export const configCheck: CommandDefinition = {
  path: 'config check',
  summary: 'check a configuration, and say what it serves',
  details: [
    'All errors and warnings of the file at once, on standard error, each with its place and what mends it. Ends with 0 if an agent would start with it, with 1 if not, and with 3 if a file cannot be read. Whose the file is and who may write it is asked in the guest only: kata-agent --check.',
    'With --pod, also what workloads of Kubernetes need: each call that they will cause is put before the lists and the rules. Ends with 4 if something of a workload will not work, and says what would mend it. Without the configuration of an image, what the image decides is not judged.',
  ],
  operands: [
    { syntax: '<file>', says: 'a configuration in TOML' },
    { syntax: '[later...]', says: 'further documents, as they would be delivered, in their order' },
  ],
  options: podOptions,
  examples: [
    {
      line: 'kata-agent-ctl config check examples/minimal.toml',
      says: 'Prints what is wrong, or the methods that are served.',
    },
    {
      line: 'kata-agent-ctl config check examples/minimal.toml --pod pod.yaml',
      says: 'Also what of the pod will not work, and the least that mends it.',
    },
  ],
  formats: true,
  run: async (invocation) => {
    const { io, options, operands } = invocation;
    const file = operands[0] ?? '';
    const pods = options.texts('pod').length === 0 ? undefined : readPods(options);
    const loaded = await loadFile(file, { later: operands.slice(1), sense: 'error' });
    const diagnostics = loaded.ok ? loaded.configuration.warnings : loaded.diagnostics;
    if (!options.json) printDiagnostics(io, diagnostics);
    if (!loaded.ok) {
      const lines = `${countOf(diagnostics, 'error')}, ${countOf(diagnostics, 'warning')}\n`;
      await print(invocation, { ok: false, diagnostics }, () => lines);
      return loaded.exitCode;
    }
    const summary = summarise(loaded.configuration);
    const style = styleFor(io.stdout, io.environment);
    const privileged = privilegedContainers(loaded.configuration);
    const note = privilegedNote(loaded.configuration, style);
    const head = `${file}: ${style.green('fine')}, ${countOf(diagnostics, 'warning')}\n${note}`;
    const reports = pods === undefined ? [] : await checkPods(loaded.configuration, pods);
    const workloads = pods === undefined ? {} : { workloads: reports.map(workloadValue) };
    await print(
      invocation,
      {
        ok: true,
        digest: loaded.configuration.digest,
        privilegedContainers: privileged,
        ...summary,
        diagnostics,
        ...workloads,
      },
      () =>
        head +
        (pods === undefined
          ? summaryText(summary, style)
          : reports.map((report) => workloadText(report, pods.setup, style)).join('')),
    );
    return reports.every(({ sufficient }) => sufficient) ? ExitCode.Fine : ExitCode.Mismatch;
  },
};

/** The evaluator is loaded only where somebody asks about a workload. */
async function checkPods(configuration: Configuration, pods: Pods): Promise<readonly WorkloadReport[]> {
  const { compileRules } = await import('@kata-agent/gate/rules');
  const options = { configuration, compile: compileRules, ...pods };
  return pods.workloads.map((workload) => checkWorkload(workload, options));
}

interface Summary {
  readonly served: readonly MethodName[];
  readonly notServed: readonly MethodName[];
}

function summarise(configuration: Configuration): Summary {
  const names = configuration.listeners.map(({ name }) => name);
  const gate = compileGate(configuration, { listeners: names });
  const allowed = new Set(names.flatMap((name) => gate.served(name)));
  return {
    served: methodNames.filter((name) => allowed.has(name)),
    notServed: methodNames.filter((name) => !allowed.has(name)),
  };
}

function summaryText({ served, notServed }: Summary, style: Style): string {
  const part = (title: string, names: readonly MethodName[]): string =>
    names.length === 0
      ? ''
      : `${style.bold(`${title} (${names.length})`)}\n${wrap(names.join(' '), width, '  ')}`;
  return [part('served', served), part('not served', notServed)].join('');
}
