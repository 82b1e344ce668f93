import { endpoints, type MethodName, methodNames } from '@kata-agent/catalogue';
import type { Configuration } from '@kata-agent/config';
import { compileGate } from '@kata-agent/gate';
import type { CommandDefinition } from '../../cli/definition.js';
import { ExitCode } from '../../exit-code.js';
import { print } from '../../output/print.js';
import { type Style, styleFor } from '../../output/style.js';
import { wrap } from '../../output/wrap.js';
import { countOf, printDiagnostics } from './diagnostics.js';
import { loadFile } from './load-file.js';

const width = 100;
const listener = 'server_addr';

export const configCheck: CommandDefinition = {
  path: 'config check',
  summary: 'check a configuration, and say what it serves',
  details: [
    'All errors and warnings of the file at once, on standard error, each with its place and what mends it. Ends with 0 if an agent would start with it, else with 1. Whose the file is and who may write it is asked in the guest only: kata-agent --check.',
  ],
  operands: [{ syntax: '<file>', says: 'a configuration in TOML' }],
  examples: [
    {
      line: 'kata-agent-ctl config check examples/minimal.toml',
      says: 'Prints what is wrong, or the methods that are served.',
    },
  ],
  formats: true,
  run: async (invocation) => {
    const { io, options, operands } = invocation;
    const file = operands[0] ?? '';
    const loaded = await loadFile(file);
    const diagnostics = loaded.ok ? loaded.configuration.warnings : loaded.diagnostics;
    if (!options.json) printDiagnostics(io, diagnostics);
    if (!loaded.ok) {
      const lines = `${countOf(diagnostics, 'error')}, ${countOf(diagnostics, 'warning')}\n`;
      await print(invocation, { ok: false, diagnostics }, () => lines);
      return ExitCode.Failed;
    }
    const summary = summarise(loaded.configuration);
    const style = styleFor(io.stdout, io.environment);
    const head = `${file}: ${style.green('fine')}, ${countOf(diagnostics, 'warning')}\n`;
    await print(
      invocation,
      { ok: true, digest: loaded.configuration.digest, ...summary, diagnostics },
      () => head + summaryText(summary, style),
    );
    return ExitCode.Fine;
  },
};

interface Summary {
  readonly served: readonly MethodName[];
  /** Served by the configuration, but not performed by this agent. */
  readonly notBuilt: readonly MethodName[];
  readonly notServed: readonly MethodName[];
}

function summarise(configuration: Configuration): Summary {
  const allowed = new Set(compileGate(configuration, { listeners: [listener] }).served(listener));
  return {
    served: methodNames.filter((name) => allowed.has(name) && endpoints[name].built),
    notBuilt: methodNames.filter((name) => allowed.has(name) && !endpoints[name].built),
    notServed: methodNames.filter((name) => !allowed.has(name)),
  };
}

function summaryText({ served, notBuilt, notServed }: Summary, style: Style): string {
  const part = (title: string, names: readonly MethodName[]): string =>
    names.length === 0
      ? ''
      : `${style.bold(`${title} (${names.length})`)}\n${wrap(names.join(' '), width, '  ')}`;
  return [
    part('served', served),
    part('allowed, but not built yet in this agent', notBuilt),
    part('not served', notServed),
  ].join('');
}
