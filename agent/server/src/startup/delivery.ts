import { type DeliverySource, deliverySources, type Inputs } from '@kata-agent/config';
import { readHostData } from '@kata-agent/measurement';
import { existsSync } from 'node:fs';
import { loadModule } from '../init/modules.js';

/** The kernel's fw_cfg driver, and its directory in sysfs. */
const fwCfg = { module: 'qemu_fw_cfg', directory: '/sys/firmware/qemu_fw_cfg' };

/** The delivery sources of further documents in this guest, and how they are bound. */
export function delivery(options: {
  readonly kernelCommandLine: string;
  readonly relaxedPermissions: boolean;
}): Pick<Inputs, 'delivery' | 'hostData'> {
  const sources = deliverySources(options);
  return {
    delivery: process.pid === 1 ? sources.map(withDriver) : sources,
    hostData: () => readHostData(),
  };
}

/**
 * Without udev, as PID 1, the fw_cfg driver is not loaded automatically. It is loaded only if a document needs it:
 * without it the kernel reads nothing from the host.
 */
function withDriver(source: DeliverySource): DeliverySource {
  if (source.name !== 'fw_cfg') return source;
  return {
    name: source.name,
    collect: (settings) => {
      const failure = existsSync(fwCfg.directory) ? undefined : loadModule(fwCfg.module);
      if (failure === undefined) return source.collect(settings);
      const message = `fw_cfg cannot be read: ${failure}`;
      const help = `add the kernel module ${fwCfg.module} to the image, or remove fw_cfg from accept`;
      return { ok: false, diagnostics: [{ severity: 'error', code: 'KA1703', message, help }] };
    },
  };
}
