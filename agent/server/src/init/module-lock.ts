import { writeFileSync } from 'node:fs';
import { hasCode } from '@kata-agent/linux';
import type { Log } from '../log.js';
import { modulesOf, startLoadingModules } from './modules.js';

/** Written by the image builder: the modules that containers may need, one per line. */
const listFile = '/etc/kata-agent/late-modules.conf';

interface ModuleLockOptions {
  readonly log: Log;
  readonly list?: string;
  readonly sysctl?: string;
  readonly load?: typeof startLoadingModules;
}

/**
 * Disables module loading once the sandbox exists. Modules for devices are loaded at boot, those of a sandbox when it
 * is created; but modules that the kernel loads on demand, for a mount or an iptables rule (overlay, nf_tables), could
 * be needed at any time. An image therefore lists them: they are loaded after the sandbox is created, and then no more
 * modules can be loaded until the guest ends. An image without a list keeps loading enabled: only its builder knows
 * what it needs.
 */
export class ModuleLock {
  readonly #options: Required<ModuleLockOptions>;
  #locked = false;

  constructor(options: ModuleLockOptions) {
    this.#options = {
      list: listFile,
      sysctl: '/proc/sys/kernel/modules_disabled',
      load: startLoadingModules,
      ...options,
    };
  }

  /** Call after a sandbox was created. Failures are logged and do not affect the pod. */
  async lock(): Promise<void> {
    const { log, list, sysctl, load } = this.#options;
    if (this.#locked) return;
    try {
      const modules = modulesOf(list);
      if (modules === undefined) {
        log(
          'info',
          'kernel modules can still be loaded: the image does not list the modules that containers need',
          {
            list,
          },
        );
        return;
      }
      const complaint = await load(modules);
      if (complaint !== undefined) log('warn', 'a kernel module is missing', { complaint });
      writeFileSync(sysctl, '1\n', { flag: 'r+' });
      this.#locked = true;
      log('info', 'kernel module loading is disabled', { loaded: modules.length });
    } catch (error) {
      // A kernel without modules does not have this file, and nothing to lock.
      if (hasCode(error, 'ENOENT')) return;
      log('error', 'kernel modules can still be loaded', { error: String(error) });
    }
  }
}
