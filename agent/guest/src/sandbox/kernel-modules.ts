import { execFile } from 'node:child_process';
import { promisify } from 'node:util';
import type { KernelModule } from '../request/actions.js';
import type { AllowedModule, GuestAccess } from '../guest-access.js';
import { GuestError } from '../guest-error.js';

const run = promisify(execFile);

const moduleName = /^[A-Za-z0-9][A-Za-z0-9_-]{0,63}$/;
/** `name=value`; never a word that modprobe could take for an option. */
const parameter = /^[A-Za-z0-9][A-Za-z0-9_.-]*(?:=[^\s"'\\]*)?$/;

/**
 * Refuses modules that the configuration does not name with exactly their parameters: a module is code in the kernel,
 * and a parameter can be as dangerous.
 *
 * @throws GuestError `invalid` for words that modprobe would parse differently; `refused`
 */
export function checkKernelModules(
  modules: readonly KernelModule[],
  { privileged, modules: named }: Pick<GuestAccess, 'privileged' | 'modules'>,
): void {
  for (const module of modules) {
    const { name, parameters } = module;
    const wrong = [
      moduleName.test(name) ? undefined : name,
      parameters.find((word) => !parameter.test(word)),
    ].find((word) => word !== undefined);
    if (wrong !== undefined) {
      throw new GuestError(
        'invalid',
        `kernel module ${JSON.stringify(name)}: ${JSON.stringify(wrong)} is not a valid name or parameter`,
      );
    }
    if (privileged === 'refuse' && !named.some((allowed) => isSame(allowed, module))) {
      const text = JSON.stringify([name, ...parameters].join(' '));
      throw new GuestError(
        'refused',
        `kernel module ${text} is refused; help: add it to kernel_modules = [${text}]`,
      );
    }
  }
}

/** modprobe and the kernel treat `-` and `_` in a module's name as equal. */
function isSame(allowed: AllowedModule, { name, parameters }: KernelModule): boolean {
  return (
    allowed.name.replaceAll('-', '_') === name.replaceAll('-', '_') &&
    allowed.parameters.length === parameters.length &&
    allowed.parameters.every((word, index) => word === parameters[index])
  );
}

/** Loads checked modules, in order. */
export async function loadKernelModules(modules: readonly KernelModule[]): Promise<void> {
  for (const { name, parameters } of modules) {
    try {
      await run('modprobe', [name, ...parameters], { env: { PATH: '/usr/sbin:/sbin:/usr/bin:/bin' } });
    } catch (error) {
      throw new GuestError('precondition', `kernel module ${name} cannot be loaded`, { cause: error });
    }
  }
}
