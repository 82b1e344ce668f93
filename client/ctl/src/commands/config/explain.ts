import { type Configuration, explainConfiguration, renderExplanation } from '@kata-agent/config';
import { privilegedContainers } from '@kata-agent/gate';
import { type CommandDefinition, ExitCode, print, printReport, type Style, styleFor } from '@kata-agent/cli';
import { countOf, loadFile, printDiagnostics, rootOption } from './load-file.js';

export const configExplain: CommandDefinition = {
  path: 'config explain',
  summary: 'print every value and endpoint of a configuration, and what decided it',
  details: [
    'Prints the source of each setting, whether each method is served and why, what the other documents contain, and what a pod gives to the profile that its document names. With --kernel-command-line, also prints which overrides on that kernel command line take effect.',
  ],
  operands: [
    { syntax: '<file>', description: 'a configuration in TOML' },
    { syntax: '[later...]', description: 'further documents, in the order of delivery' },
  ],
  options: [
    { flags: '--kernel-command-line <text>', description: 'the kernel command line of the guest' },
    rootOption,
  ],
  examples: [
    { line: 'kata-agent-ctl config explain examples/minimal.toml', description: 'Prints a table.' },
    {
      line: 'kata-agent-ctl config explain c.toml --kernel-command-line "agent.log=debug agent.debug_console"',
      description: 'Which of the two overrides the configuration allows.',
    },
  ],
  formats: true,
  run: async (invocation) => {
    const { io, options, operands } = invocation;
    const loaded = await loadFile(operands[0] ?? '', {
      kernelCommandLine: options.text('kernelCommandLine'),
      later: operands.slice(1),
      root: options.text('root'),
    });
    const diagnostics = loaded.ok ? loaded.configuration.warnings : loaded.diagnostics;
    if (!options.json) printDiagnostics(io, diagnostics);
    if (!loaded.ok) {
      if (options.json) await print(invocation, { ok: false, diagnostics }, () => '');
      else io.stderr.write(`${countOf(diagnostics, 'error')}\n`);
      return loaded.exitCode;
    }
    const explanation = explainConfiguration(loaded.configuration);
    await printReport(
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
    return ExitCode.Success;
  },
};

/** Returns a warning if privileged containers are allowed, else an empty string. */
export function privilegedNote(configuration: Configuration, style: Style): string {
  if (privilegedContainers(configuration) === 'refuse') return '';
  return (
    `${style.bold('PRIVILEGED CONTAINERS ARE ALLOWED')}: such a container has root access to the guest; rules do not confine it.\n` +
    '  Without privileged_containers = "allow" the agent denies them, and names the reasons.\n'
  );
}
