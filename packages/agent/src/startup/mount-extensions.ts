import type { Configuration } from '@kata-agent/config';
import type { Syscalls } from '@kata-agent/linux';
import { extensionGuest, mountExtension } from '../init/mount-extension.js';
import { admitExtensions, guestExtensions } from './guest-extensions.js';
import type { Log } from './log.js';

/** An extension in the first record of a boot. */
export interface ExtensionFact {
  readonly name: string;
  /** `none`: an image without dm-verity. */
  readonly rootHash: string;
}

/**
 * Checks the extension images that the kernel command line names against the configuration, and as PID 1 mounts them.
 * Under another init its own units mount them, before the agent starts, with the parameters of the same command line.
 *
 * @throws CannotApply if one is malformed, refused, or cannot be mounted.
 */
export async function mountExtensions(
  configuration: Pick<Configuration, 'settings' | 'documents'>,
  {
    kernelLine,
    syscalls,
    log,
    isFirstProcess,
  }: {
    readonly kernelLine: string;
    readonly syscalls: Syscalls;
    readonly log: Log;
    readonly isFirstProcess: boolean;
  },
): Promise<readonly ExtensionFact[]> {
  const extensions = guestExtensions(kernelLine);
  admitExtensions(extensions, configuration);
  const facts = extensions.map(({ name, verity }) => ({ name, rootHash: verity?.rootHash ?? 'none' }));
  if (!isFirstProcess) return facts;
  const guest = extensionGuest(syscalls, configuration.settings.hotplugTimeout);
  for (const extension of extensions) {
    await mountExtension(extension, guest);
    log('info', 'an extension image is mounted', {
      extension: extension.name,
      rootHash: extension.verity?.rootHash ?? 'none',
    });
  }
  return facts;
}
