import { readdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { readIfThere } from '@kata-agent/base';
import { hasCode } from '@kata-agent/linux';
import type { Log } from '../log.js';
import { type Complaint, runTool, startTool } from './run-tool.js';

/** Written by the image builder: the modules that containers may need, one per line. */
const listFile = '/etc/kata-agent/late-modules.conf';
const program = '/sbin/modprobe';

/** The directories of systemd (modules-load.d(5)): an image has one list for any init. */
const directory = '/etc/modules-load.d';

/** Returns the kernel modules that the image lists: one per line; lines that begin with # or ; are comments. */
export function wantedModules(path: string = directory): readonly string[] {
  let files: readonly string[];
  try {
    files = readdirSync(path);
  } catch (error) {
    if (hasCode(error, 'ENOENT')) return [];
    throw error;
  }
  return files
    .filter((name) => name.endsWith('.conf'))
    .sort()
    .flatMap((name) => modulesOf(join(path, name)) ?? []);
}

/** Returns the modules in one file; undefined if there is no such file. */
function modulesOf(file: string): readonly string[] | undefined {
  return readIfThere(file)
    ?.toString()
    .split('\n')
    .map((line) => line.trim())
    .filter((line) => line !== '' && !/^[#;]/.test(line));
}

/** Loads modules in the background. */
export async function startLoadingModules(
  names: readonly string[],
  modprobe: string = program,
): Promise<Complaint> {
  return names.length === 0 ? undefined : startTool(modprobe, ['-a', ...names]);
}

/** Loads one module and waits for it. */
export function loadModule(name: string, modprobe: string = program): Complaint {
  return runTool(modprobe, [name]);
}

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
