import assert from 'node:assert/strict';
import {
  type Configuration,
  loadConfiguration,
  renderDiagnostic,
  type RuleChecker,
} from '@kata-agent/config';

const file = 'config.toml';

/** The configuration of a document's text; the test fails when it is refused. */
export async function configurationOf(
  document: string,
  rules: () => Promise<RuleChecker> = checker,
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
  });
  assert.ok(
    loaded.ok,
    loaded.ok ? '' : loaded.diagnostics.map((diagnostic) => renderDiagnostic(diagnostic)).join('\n'),
  );
  return loaded.configuration;
}

/** For tests that are not about what a rule says. */
async function checker(): Promise<RuleChecker> {
  return { check: () => [] };
}
