import { type Configuration, loadConfiguration, openDocument, renderDiagnostic } from '@kata-agent/config';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

import { configurationText } from './agent-program.js';

/** The configuration that the measured agent has, loaded as the agent loads it. */
export function configuration(): Configuration {
  const folder = mkdtempSync(join(tmpdir(), 'kata-bench-'));
  try {
    const file = join(folder, 'config.toml');
    writeFileSync(file, configurationText(folder), { mode: 0o600 });
    const loaded = loadConfiguration({
      flags: {},
      configFlag: file,
      environment: {},
      files: openDocument({ relaxedPermissions: false }),
    });
    if (!loaded.ok)
      throw new Error(loaded.diagnostics.map((diagnostic) => renderDiagnostic(diagnostic)).join('\n'));
    return loaded.configuration;
  } finally {
    rmSync(folder, { recursive: true });
  }
}
