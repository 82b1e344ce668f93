import type { Configuration } from '@kata-agent/config';
import type { Invocation } from '../../cli/definition.js';
import { faulty } from './diagnostics.js';
import { loadFile } from './load-file.js';

/**
 * The configuration of a file that a command works with; its warnings are for `config check`. Rejects with a
 * CommandError when something is wrong with it.
 */
export async function loadedFile(file: string, invocation: Invocation): Promise<Configuration> {
  const loaded = await loadFile(file);
  if (loaded.ok) return loaded.configuration;
  throw faulty(invocation, loaded.diagnostics, {
    message: `${file} cannot be loaded`,
    help: `mend it; kata-agent-ctl config check ${file} says the same`,
    exitCode: loaded.exitCode,
  });
}
