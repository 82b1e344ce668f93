import { migrate, type OldFile } from '@kata-agent/analysis';
import type { Diagnostic } from '@kata-agent/config';
import { type CommandDefinition, ExitCode, print } from '@kata-agent/cli';
import { countOf, plainFiles, printDiagnostics } from './load-file.js';

export const configMigrate: CommandDefinition = {
  path: 'config migrate',
  summary: "convert the files of Kata's own agent into a configuration",
  details: [
    'Reads a flat settings file of Kata, with or without the former [endpoints], and a Rego policy that only sets defaults, and merges them into one configuration. Settings that cannot be converted are listed on standard error and at the top of the result. The result never serves more than the old files did.',
  ],
  operands: [{ syntax: '<files...>', description: "files of Kata's agent: TOML, Rego" }],
  examples: [
    {
      line: 'kata-agent-ctl config migrate agent.toml policy.rego > config.toml',
      description: 'Settings from the first file, endpoints from the second.',
    },
  ],
  formats: true,
  run: async (invocation) => {
    const { io, operands, options } = invocation;
    const { files, unread } = readAll(operands);
    const result = unread.length > 0 ? { ok: false as const, diagnostics: unread } : migrate(files);
    const diagnostics = result.ok ? result.notes : result.diagnostics;
    if (!options.json) printDiagnostics(io, diagnostics);
    if (!result.ok) {
      // Standard output can be redirected to the new configuration.
      if (options.json) await print(invocation, { ok: false, diagnostics }, () => '');
      else io.stderr.write(`${countOf(diagnostics, 'error')}\n`);
      return unread.length > 0 ? ExitCode.CannotApply : ExitCode.Failed;
    }
    await print(invocation, { ok: true, text: result.text, diagnostics }, () => result.text);
    return ExitCode.Success;
  },
};

function readAll(paths: readonly string[]): { files: readonly OldFile[]; unread: readonly Diagnostic[] } {
  const files: OldFile[] = [];
  const unread: Diagnostic[] = [];
  for (const file of paths) {
    const read = plainFiles.read(file);
    if (read.ok) files.push({ file, bytes: read.bytes });
    else unread.push({ severity: 'error', code: read.code, message: read.message, help: read.help });
  }
  return { files, unread };
}
