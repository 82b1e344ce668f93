import type { Configuration } from '@kata-agent/config';
import type { Invocation } from '@kata-agent/cli';
import { faulty } from './diagnostics.js';
import { loadFile } from './load-file.js';

/**
 * Loads the configuration in a file. Warnings are not printed: `config check` does. Rejects with a CommandError if
 * the configuration is invalid.
 */
export async function loadedFile(file: string, invocation: Invocation): Promise<Configuration> {
  const loaded = await loadFile(file);
  if (loaded.ok) return loaded.configuration;
  throw faulty(invocation, loaded.diagnostics, {
    message: `${file} cannot be loaded`,
    help: `fix the errors; kata-agent-ctl config check ${file} prints them too`,
    exitCode: loaded.exitCode,
  });
}
