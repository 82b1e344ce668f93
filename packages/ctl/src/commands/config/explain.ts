import { explainConfiguration, renderExplanation } from '@kata-agent/config';
import { compileGate, privilegedContainers } from '@kata-agent/gate';
import type { CommandDefinition } from '../../cli/definition.js';
import { ExitCode } from '../../exit-code.js';
import { print } from '../../output/print.js';
import { styleFor } from '../../output/style.js';
import { countOf, printDiagnostics } from './diagnostics.js';
import { loadFile } from './load-file.js';
import { privilegedNote } from './privileged-note.js';

export const configExplain: CommandDefinition = {
  path: 'config explain',
  summary: 'print every value and endpoint of a configuration with what decided it',
  details: [
    'Says of each setting where its value comes from, of each method whether it is served and why, and what the other documents said. With --kernel-line, also what becomes of overrides that a host puts there.',
  ],
  operands: [
    { syntax: '<file>', says: 'a configuration in TOML' },
    { syntax: '[later...]', says: 'further documents, as they would be delivered, in their order' },
  ],
  options: [{ flags: '--kernel-line <text>', says: 'the kernel line of the guest' }],
  examples: [
    { line: 'kata-agent-ctl config explain examples/minimal.toml', says: 'A table for people.' },
    {
      line: 'kata-agent-ctl config explain c.toml --kernel-line "agent.log=debug agent.debug_console"',
      says: 'Which of the two overrides the configuration lets through.',
    },
  ],
  formats: true,
  run: async (invocation) => {
    const { io, options, operands } = invocation;
    const loaded = await loadFile(operands[0] ?? '', {
      kernelLine: options.text('kernelLine'),
      later: operands.slice(1),
    });
    const diagnostics = loaded.ok ? loaded.configuration.warnings : loaded.diagnostics;
    if (!options.json) printDiagnostics(io, diagnostics);
    if (!loaded.ok) {
      if (options.json) await print(invocation, { ok: false, diagnostics }, () => '');
      else io.stderr.write(`${countOf(diagnostics, 'error')}\n`);
      return loaded.exitCode;
    }
    const listeners = loaded.configuration.listeners.map(({ name }) => name);
    const gate = compileGate(loaded.configuration, { listeners });
    const explanation = explainConfiguration(loaded.configuration, (method, listener) =>
      gate.decide(listener, method),
    );
    await print(
      invocation,
      {
        ok: true,
        privilegedContainers: privilegedContainers(loaded.configuration),
        ...explanation,
        diagnostics,
      },
      () =>
        `${privilegedNote(loaded.configuration, styleFor(io.stdout, io.environment))}${renderExplanation(explanation)}\n`,
    );
    return ExitCode.Fine;
  },
};
