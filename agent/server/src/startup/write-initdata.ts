import { initdataDirectory } from '@kata-agent/catalogue';
import { type Configuration, initdataPolicyKey } from '@kata-agent/config';
import { mkdirSync } from 'node:fs';
import { join } from 'node:path';
import { replaceFile } from '@kata-agent/base';
import { CannotApply } from '../cannot-apply.js';
import type { Log } from '../log.js';

/**
 * Logs what became of initdata, and writes the envelope and the files of the guest components.
 *
 * @throws CannotApply if a file cannot be written: a component would start without its configuration.
 */
export function writeInitdata(
  { initdata, initdataTexts }: Pick<Configuration, 'initdata' | 'initdataTexts'>,
  log: Log,
): void {
  if (initdata === undefined) return;
  const { file, sha256, binding, files, unlisted } = initdata;
  log('info', 'initdata', {
    file,
    sha256,
    ...(binding === undefined ? {} : { binding }),
    files: files.map(({ name, outcome }) => `${name}: ${outcome}`).join(', '),
    ...(unlisted === undefined ? {} : { unlisted }),
  });
  const kept = files.filter(({ outcome }) => outcome === 'kept').map(({ name }) => name);
  const written = [...initdataTexts].filter(([name]) => name === 'initdata.toml' || kept.includes(name));
  if (written.length === 0) return;
  try {
    mkdirSync(initdataDirectory, { recursive: true, mode: 0o755 });
    for (const [name, text] of written)
      replaceFile(join(initdataDirectory, name), text, { mode: 0o644, survives: 'process' });
  } catch (error) {
    const reason = error instanceof Error ? error.message : String(error);
    throw new CannotApply(`initdata cannot be written for the guest components: ${reason}`, {
      cause: error,
      help: `make ${initdataDirectory} a directory that root can write`,
    });
  }
}

/** Returns the text of the policy in initdata that is part of the configuration. */
export function policyOfInitdata({
  initdata,
  initdataTexts,
}: Pick<Configuration, 'initdata' | 'initdataTexts'>): string | undefined {
  const policy = initdata?.files.find(({ name }) => name === initdataPolicyKey);
  return policy?.outcome === 'applied' ? initdataTexts.get(initdataPolicyKey) : undefined;
}
