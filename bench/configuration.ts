import { type Configuration, loadConfiguration, openDocument, renderDiagnostic } from '@kata-agent/config';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

import { configurationText } from './agent-program.js';

/** The configuration that the measured agent has, loaded as the agent loads it. */
export async function configuration(): Promise<Configuration> {
  const folder = mkdtempSync(join(tmpdir(), 'kata-bench-'));
  try {
    const file = join(folder, 'config.toml');
    writeFileSync(file, configurationText(folder), { mode: 0o600 });
    const loaded = await loadConfiguration({
      flags: {},
      configFlag: file,
      environment: {},
      files: openDocument({ relaxedPermissions: false }),
      rules: async () => (await import('@kata-agent/gate/rules')).createRuleChecker(),
      delivery: [],
      hostData: () => ({ ok: false, message: 'host data cannot be read yet', help: 'bind it otherwise' }),
    });
    if (!loaded.ok)
      throw new Error(loaded.diagnostics.map((diagnostic) => renderDiagnostic(diagnostic)).join('\n'));
    return loaded.configuration;
  } finally {
    rmSync(folder, { recursive: true });
  }
}
