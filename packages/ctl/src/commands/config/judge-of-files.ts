import { type Judge, judgeOf } from '@kata-agent/analysis';
import { type ApiDocument, type Configuration, parseApiFragment } from '@kata-agent/config';
import type { Io } from '../../cli/io.js';
import { CommandError } from '../../command-error.js';
import { ExitCode } from '../../exit-code.js';
import { countOf, printDiagnostics } from './diagnostics.js';
import { loadedFile } from './loaded-file.js';
import { ruleBookOf } from './rule-book-of.js';
import { readTestFile } from './test-files.js';

/** Decides as an agent would with this configuration, and with these fragments applied to it as by SetPolicy. */
export async function judgeOfFiles(file: string, fragments: readonly string[], io: Io): Promise<Judge> {
  let configuration = await loadedFile(file, io);
  for (const fragment of fragments) {
    configuration = tightened(configuration, await fragmentOf(fragment, configuration, io));
  }
  return judgeOf(configuration, await ruleBookOf(configuration));
}

/** A fragment restricts as a later document does. */
function tightened(configuration: Configuration, fragment: ApiDocument): Configuration {
  const { api } = configuration;
  return { ...configuration, api: { ...api, documents: [...api.documents, fragment] } };
}

async function fragmentOf(file: string, { api }: Configuration, io: Io): Promise<ApiDocument> {
  const rules = async () => (await import('@kata-agent/gate/rules')).createRuleChecker();
  const ruleNames = api.documents.flatMap(({ rules }) => rules.map(({ name }) => name));
  const parsed = await parseApiFragment(readTestFile(file), file, { ruleNames, rules });
  if (parsed.ok) return parsed.document;
  printDiagnostics(io, parsed.diagnostics);
  throw new CommandError(
    ExitCode.Failed,
    `${file} is no fragment of [api]: ${countOf(parsed.diagnostics, 'error')}`,
    { help: ['mend what is said above'] },
  );
}
