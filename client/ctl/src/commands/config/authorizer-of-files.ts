import { type OfflineAuthorizer, offlineAuthorizer } from '@kata-agent/analysis';
import { type ApiDocument, type Configuration, parseApiFragment } from '@kata-agent/config';
import { type Invocation, readTextInput } from '@kata-agent/cli';
import { faulty } from './diagnostics.js';
import { loadedFile } from './loaded-file.js';
import { ruleBookOf } from './rule-book-of.js';

/** Returns an authorizer for this configuration, with these fragments applied as by SetPolicy. */
export async function authorizerOfFiles(
  file: string,
  fragments: readonly string[],
  invocation: Invocation,
): Promise<OfflineAuthorizer> {
  let configuration = await loadedFile(file, invocation);
  for (const fragment of fragments) {
    configuration = tightened(configuration, await fragmentOf(fragment, configuration, invocation));
  }
  return offlineAuthorizer(configuration, await ruleBookOf(configuration));
}

/** Applies a fragment, which restricts as a further document does. */
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
    message: `${file} is not a fragment of [api]`,
    help: 'a fragment has only allowed_endpoints, blocked_endpoints and [[api.rule]]',
  });
}
