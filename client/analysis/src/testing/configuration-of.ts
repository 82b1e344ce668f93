import assert from 'node:assert/strict';
import {
  type Configuration,
  type Inputs,
  loadConfiguration,
  renderDiagnostic,
  type RuleChecker,
} from '@kata-agent/config';

const file = 'config.toml';

/** Returns the configuration in a document's text; fails the test if the document is rejected. */
export async function configurationOf(
  document: string,
  rules: () => Promise<RuleChecker> = checker,
  more: Partial<Inputs> = {},
): Promise<Configuration> {
  const bytes = Buffer.from(document);
  const loaded = await loadConfiguration({
    flags: {},
    configFlag: file,
    environment: {},
    files: { read: () => ({ ok: true, bytes }) },
    rules,
    delivery: [],
    hostData: () => ({ ok: false, message: 'there is none', help: 'bind it otherwise' }),
    ...more,
  });
  assert.ok(
    loaded.ok,
    loaded.ok ? '' : loaded.diagnostics.map((diagnostic) => renderDiagnostic(diagnostic)).join('\n'),
  );
  return loaded.configuration;
}

/** For tests that do not depend on rule expressions. */
async function checker(): Promise<RuleChecker> {
  return { check: () => ({ faults: [], needsGuest: [] }), patternFault: () => undefined };
}
