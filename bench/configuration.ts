import { type Configuration, loadConfiguration, openDocument, renderDiagnostic } from '@kata-agent/config';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

import { configurationText } from './agent-program.js';

/** The configuration of the measured agent, loaded as the agent does. */
export async function configuration(): Promise<Configuration> {
  const directory = mkdtempSync(join(tmpdir(), 'kata-bench-'));
  try {
    const file = join(directory, 'config.toml');
    writeFileSync(file, configurationText(directory), { mode: 0o600 });
    return await configurationOf(file);
  } finally {
    rmSync(directory, { recursive: true });
  }
}

/** Loads a document as the agent does. Throws its diagnostics. */
export async function configurationOf(file: string): Promise<Configuration> {
  const loaded = await loadConfiguration({
    flags: {},
    configFlag: file,
    environment: {},
    files: openDocument({ relaxedPermissions: false }),
    rules: async () => (await import('@kata-agent/gate/rules')).createRuleChecker(),
    delivery: [],
    hostData: () => ({ ok: false, message: 'host data cannot be read yet', help: 'use another binding' }),
  });
  if (!loaded.ok)
    throw new Error(loaded.diagnostics.map((diagnostic) => renderDiagnostic(diagnostic)).join('\n'));
  return loaded.configuration;
}
