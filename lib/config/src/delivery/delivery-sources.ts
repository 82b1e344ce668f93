import type { DeliverySource } from '../delivery.js';
import { openDocument } from './open-document.js';
import { dropInSource } from './drop-in-source.js';
import { fwCfgSource } from './fw-cfg-source.js';
import { initdataSource } from './initdata-device.js';
import { kernelCommandLineSource } from './kernel-command-line-source.js';

/**
 * Creates all delivery sources (R8). `kernelCommandLine` is the text of /proc/cmdline; `root` contains the guest's /dev, /sys
 * and drop-ins, so that tests can use a copied tree.
 */
export function deliverySources(options: {
  readonly kernelCommandLine: string;
  readonly root?: string;
  readonly relaxedPermissions?: boolean;
}): readonly DeliverySource[] {
  const { kernelCommandLine, root = '/', relaxedPermissions = false } = options;
  return [
    initdataSource(root),
    fwCfgSource(root),
    kernelCommandLineSource(kernelCommandLine),
    dropInSource({ root, relaxedPermissions, files: openDocument({ relaxedPermissions }) }),
  ];
}
