import type { DeliverySource } from '../delivery.js';
import { openDocument } from './open-document.js';
import { dropInSource } from './drop-in-source.js';
import { fwCfgSource } from './fw-cfg-source.js';
import { initdataSource } from './initdata-source.js';
import { kernelLineSource } from './kernel-line-source.js';

/**
 * Creates all delivery sources (R8). `kernelLine` is the text of /proc/cmdline; `root` contains the guest's /dev, /sys
 * and drop-ins, so that tests can use a copied tree.
 */
export function deliverySources(options: {
  readonly kernelLine: string;
  readonly root?: string;
  readonly relaxedPermissions?: boolean;
}): readonly DeliverySource[] {
  const { kernelLine, root = '/', relaxedPermissions = false } = options;
  return [
    initdataSource(root),
    fwCfgSource(root),
    kernelLineSource(kernelLine),
    dropInSource({ root, relaxedPermissions, files: openDocument({ relaxedPermissions }) }),
  ];
}
