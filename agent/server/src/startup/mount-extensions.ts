import type { Configuration } from '@kata-agent/config';
import type { Syscalls } from '@kata-agent/linux';
import { type ExtensionGuest, extensionGuest, mountExtension } from '../init/mount-extension.js';
import { admitExtensions, guestExtensions } from '../init/guest-extensions.js';
import type { Log } from '../log.js';

/** An extension in the first record of a boot. */
export interface ExtensionFact {
  readonly name: string;
  /** `none`: an image without dm-verity. */
  readonly rootHash: string;
}

/**
 * Checks the extension images that the kernel command line names against the configuration, and mounts those that are not
 * mounted. Under systemd Kata's units do so before the agent starts, with the parameters of the same command line; an image in
 * which this agent replaced Kata's may have lost them (Kata installs them with its agent).
 *
 * @throws CannotApply if one is malformed, refused, or cannot be mounted.
 */
export async function mountExtensions(
  configuration: Pick<Configuration, 'settings' | 'documents'>,
  {
    kernelCommandLine,
    syscalls,
    log,
    guest = extensionGuest(syscalls, configuration.settings.hotplugTimeout),
  }: {
    readonly kernelCommandLine: string;
    readonly syscalls: Syscalls;
    readonly log: Log;
    /** Tests replace it. */
    readonly guest?: ExtensionGuest;
  },
): Promise<readonly ExtensionFact[]> {
  const extensions = guestExtensions(kernelCommandLine);
  admitExtensions(extensions, configuration);
  const facts = extensions.map(({ name, verity }) => ({ name, rootHash: verity?.rootHash ?? 'none' }));
  for (const extension of extensions) {
    if (!(await mountExtension(extension, guest))) continue;
    log('info', 'an extension image is mounted', {
      extension: extension.name,
      rootHash: extension.verity?.rootHash ?? 'none',
    });
  }
  return facts;
}
