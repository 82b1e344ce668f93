import { writeFileSync } from 'node:fs';
import { hasCode } from '@kata-agent/linux';
import type { Log } from '../log.js';
import { modulesOf, startLoadingModules } from './modules.js';

/** Made by the image: the modules that containers of it may need, one a line. */
const listFile = '/etc/kata-agent/late-modules.conf';

interface ModuleLockOptions {
  readonly log: Log;
  readonly list?: string;
  readonly sysctl?: string;
  readonly load?: typeof startLoadingModules;
}

/**
 * The kernel's last module. What makes a guest's devices is loaded at boot, what a sandbox asks for when it is made; what
 * the kernel loads by itself at a mount or a rule of the packet filter (overlay, nf_tables) would come at any time. So an
 * image lists the latter, and once the sandbox is made they are loaded and the kernel takes no more, by nobody, until the
 * guest ends. An image without a list keeps its kernel open: nobody but its maker knows what it needs.
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

  /** Call when a sandbox was made. Failures are logged: the pod starts all the same. */
  async lock(): Promise<void> {
    const { log, list, sysctl, load } = this.#options;
    if (this.#locked) return;
    try {
      const modules = modulesOf(list);
      if (modules === undefined) {
        log(
          'info',
          'kernel modules can still be loaded: the image does not list those that containers need',
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
      log('info', 'the kernel takes no more modules', { loaded: modules.length });
    } catch (error) {
      // A kernel without modules has no such file, and nothing to lock.
      if (hasCode(error, 'ENOENT')) return;
      log('error', 'kernel modules can still be loaded', { error: String(error) });
    }
  }
}
