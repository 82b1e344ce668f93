import { chmodSync, mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import type { ListedCall } from './scenario-share.js';

/** GPUs of a pod on a machine without any. */
interface PodGpus {
  /** Files below the root bus in sysfs, for `pciBus`. */
  readonly files: ReadonlyMap<string, string>;
  /** Shell commands that show the guest's CDI specification. */
  readonly setup: string;
}

/**
 * Makes the GPUs that the requests of a pod name: PCI devices behind one bridge, and the guest's CDI specification, whose
 * hook runs for each container with a GPU.
 */
export function podGpus(directory: string, calls: readonly ListedCall[]): PodGpus {
  const options = calls.flatMap(({ request: { devices = [] } }) =>
    devices.flatMap((device) => (device.type === 'vfio-pci-gk' ? device.options : [])),
  );
  if (options.length === 0) return { files: new Map(), setup: ':' };
  const slots = options.map((option) => /=01\/([0-9a-f]{2})$/.exec(option)?.[1] ?? '');
  const bridge = '0000:00:01.0';
  const files = new Map([
    [`${bridge}/pci_bus/0000:01/x`, ''],
    ...slots.map((slot) => [`${bridge}/0000:01:${slot}.0/class`, '0x030200\n'] as const),
  ]);
  const cdi = join(directory, 'cdi');
  mkdirSync(cdi);
  for (const each of [directory, cdi]) chmodSync(each, 0o755);
  const hook = { hookName: 'createContainer', path: '/bin/true', args: ['true'] };
  const devices = options.map((_, index) => ({
    name: String(index),
    containerEdits: { env: [`GPU_${index}=there`], hooks: [hook] },
  }));
  const spec = { cdiVersion: '0.6.0', kind: 'nvidia.com/gpu', devices };
  writeFileSync(join(cdi, 'nvidia.json'), JSON.stringify(spec), { mode: 0o644 });
  return { files, setup: `mkdir /run/cdi && mount --bind '${cdi}' /run/cdi` };
}
