import { type MethodName, methodNames } from '@kata-agent/catalogue';
import type { Configuration } from '@kata-agent/config';
import { compileGate, privilegedContainers } from '@kata-agent/gate';
import {
  type CommandDefinition,
  ExitCode,
  print,
  printReport,
  type Style,
  styleFor,
  wrap,
} from '@kata-agent/cli';
import { programName } from '../../program-name.js';
import { countOf, loadFile, printDiagnostics, rootOption } from './load-file.js';
import { listenerOf, listenerOption, podOptions, readPods, inputNotes } from './pod-files.js';
import { checkPods } from './check-pods.js';
import { privilegedNote } from './explain.js';
import { workloadText, workloadValue } from './workload-text.js';

export const configCheck: CommandDefinition = {
  path: 'config check',
  summary: 'check a configuration, and print what it serves',
  details: [
    'Prints all errors and warnings on standard error, each with its position and a fix. Exits with 0 if an agent would start with the configuration, with 1 if not, and with 3 if a file cannot be read. Owner and permissions of the file are checked only in the guest: kata-agent --check.',
    'Whether the methods that are served make sense together is decided over all listeners.',
    'With --pod, also checks Kubernetes workloads: gate and rules decide each call that the workloads will cause on the listener of the runtime. Exits with 4 if a workload will not work, and prints what the agent refuses whatever the rules are, or the smallest change that fixes it. Calls whose values come from an image are not checked without its --image-config.',
  ],
  operands: [
    { syntax: '<file>', description: 'a configuration in TOML' },
    { syntax: '[later...]', description: 'further documents, in the order of delivery' },
  ],
  options: [...podOptions, listenerOption, rootOption],
  examples: [
    {
      line: 'kata-agent-ctl config check examples/minimal.toml',
      description: 'Prints errors, or the methods that are served.',
    },
    {
      line: 'kata-agent-ctl config check examples/minimal.toml --pod pod.yaml',
      description: 'Also prints what will not work for the pod, and the smallest change that fixes it.',
    },
  ],
  formats: true,
  run: async (invocation) => {
    const { io, options, operands } = invocation;
    const file = operands[0] ?? '';
    const pods = options.texts('pod').length === 0 ? undefined : await readPods(options);
    const loaded = await loadFile(file, {
      later: operands.slice(1),
      root: options.text('root'),
      sense: 'error',
    });
    const diagnostics = loaded.ok ? loaded.configuration.warnings : loaded.diagnostics;
    if (!options.json) {
      printDiagnostics(io, diagnostics);
      for (const note of pods === undefined ? [] : inputNotes(pods))
        io.stderr.write(`${programName}: note: ${note}\n`);
    }
    if (!loaded.ok) {
      const lines = `${countOf(diagnostics, 'error')}, ${countOf(diagnostics, 'warning')}\n`;
      await print(invocation, { ok: false, diagnostics }, () => lines);
      return loaded.exitCode;
    }
    const listener = listenerOf(options, loaded.configuration);
    const summary = summarise(loaded.configuration);
    const style = styleFor(io.stdout, io.environment);
    const privileged = privilegedContainers(loaded.configuration);
    const note = privilegedNote(loaded.configuration, style);
    const head = `${file}: ${style.green('valid')}, ${countOf(diagnostics, 'warning')}\n${note}`;
    const reports = pods === undefined ? [] : await checkPods(loaded.configuration, pods, listener);
    const workloads = pods === undefined ? {} : { workloads: reports.map(workloadValue) };
    await printReport(
      invocation,
      {
        ok: true,
        digest: loaded.configuration.digest,
        privilegedContainers: privileged,
        ...summary,
        diagnostics,
        ...workloads,
      },
      (width) =>
        head +
        (pods === undefined
          ? summaryText(summary, style, width)
          : reports.map((report) => workloadText(report, pods.setup, style)).join('')),
    );
    return reports.every(({ sufficient }) => sufficient) ? ExitCode.Success : ExitCode.Mismatch;
  },
};

interface Summary {
  /** By any listener. */
  readonly served: readonly MethodName[];
  readonly notServed: readonly MethodName[];
  /** What each listener serves; absent if there is one listener only. */
  readonly servedBy?: Readonly<Record<string, readonly MethodName[]>>;
}

function summarise(configuration: Configuration): Summary {
  const names = configuration.listeners.map(({ name }) => name);
  const gate = compileGate(configuration, { listeners: names });
  const servedBy = Object.fromEntries(names.map((name) => [name, gate.served(name)]));
  const allowed = new Set(Object.values(servedBy).flat());
  return {
    served: methodNames.filter((name) => allowed.has(name)),
    notServed: methodNames.filter((name) => !allowed.has(name)),
    ...(names.length === 1 ? {} : { servedBy }),
  };
}

function summaryText({ served, notServed, servedBy }: Summary, style: Style, width: number): string {
  const part = (title: string, names: readonly MethodName[]): string =>
    names.length === 0
      ? ''
      : `${style.bold(`${title} (${names.length})`)}\n${wrap(names.join(' '), width, '  ')}`;
  const parts =
    servedBy === undefined
      ? [part('served', served)]
      : Object.entries(servedBy).map(([listener, names]) => part(`served on ${listener}`, names));
  return [...parts, part('not served', notServed)].join('');
}
