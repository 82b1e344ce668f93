import { type Judge, judgeOf } from '@kata-agent/analysis';
import { type ApiDocument, type Configuration, parseApiFragment } from '@kata-agent/config';
import type { Invocation } from '../../cli/definition.js';
import { readTextInput } from '../../input/read-input.js';
import { faulty } from './diagnostics.js';
import { loadedFile } from './loaded-file.js';
import { ruleBookOf } from './rule-book-of.js';

/** Decides as an agent would with this configuration, and with these fragments applied to it as by SetPolicy. */
export async function judgeOfFiles(
  file: string,
  fragments: readonly string[],
  invocation: Invocation,
): Promise<Judge> {
  let configuration = await loadedFile(file, invocation);
  for (const fragment of fragments) {
    configuration = tightened(configuration, await fragmentOf(fragment, configuration, invocation));
  }
  return judgeOf(configuration, await ruleBookOf(configuration));
}

/** A fragment restricts as a later document does. */
function tightened(configuration: Configuration, fragment: ApiDocument): Configuration {
  const { api } = configuration;
  return { ...configuration, api: { ...api, documents: [...api.documents, fragment] } };
}

async function fragmentOf(
  file: string,
  { api }: Configuration,
  invocation: Invocation,
): Promise<ApiDocument> {
  const rules = async () => (await import('@kata-agent/gate/rules')).createRuleChecker();
  const ruleNames = api.documents.flatMap(({ rules }) => rules.map(({ name }) => name));
  const parsed = await parseApiFragment(readTextInput(file), file, { ruleNames, rules });
  if (parsed.ok) return parsed.document;
  throw faulty(invocation, parsed.diagnostics, {
    message: `${file} is no fragment of [api]`,
    help: 'a fragment has allowed_endpoints, blocked_endpoints and [[api.rule]]',
  });
}
