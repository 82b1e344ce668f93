import { execFile } from 'node:child_process';
import { promisify } from 'node:util';
import type { KernelModule } from './actions.js';
import { GuestError } from './guest-error.js';

const run = promisify(execFile);

const moduleName = /^[A-Za-z0-9][A-Za-z0-9_-]{0,63}$/;
/** `name=value`; never a word that modprobe could take for an option. */
const parameter = /^[A-Za-z0-9][A-Za-z0-9_.-]*(?:=[^\s"'\\]*)?$/;

/** Loads modules that a sandbox asks for, in order. */
export async function loadKernelModules(modules: readonly KernelModule[]): Promise<void> {
  for (const { name, parameters } of modules) {
    const wrong = [
      moduleName.test(name) ? undefined : name,
      parameters.find((word) => !parameter.test(word)),
    ].find((word) => word !== undefined);
    if (wrong !== undefined) {
      throw new GuestError(
        'invalid',
        `kernel module ${JSON.stringify(name)}: ${JSON.stringify(wrong)} is not a name`,
      );
    }
    try {
      await run('modprobe', [name, ...parameters], { env: { PATH: '/usr/sbin:/sbin:/usr/bin:/bin' } });
    } catch (error) {
      throw new GuestError('precondition', `kernel module ${name} cannot be loaded`, { cause: error });
    }
  }
}
