import { type Configuration, loadConfiguration, renderDiagnostic } from '@kata-agent/config';
import { createRuleChecker } from '@kata-agent/gate/rules';

/** Loads a document alone, as the base document with its rules; throws its errors. */
export async function loadedConfiguration(text: string): Promise<Configuration> {
  const loaded = await loadConfiguration({
    flags: {},
    configFlag: 'config.toml',
    environment: {},
    files: { read: () => ({ ok: true, bytes: Buffer.from(text) }) },
    rules: async () => createRuleChecker(),
    delivery: [],
    hostData: () => ({ ok: false, message: 'there is none', help: 'use another binding' }),
  });
  if (loaded.ok) return loaded.configuration;
  throw new Error(loaded.diagnostics.map((each) => renderDiagnostic(each)).join('\n'));
}
