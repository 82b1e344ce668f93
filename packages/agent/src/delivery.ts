import { type DeliverySource, deliverySources, type Inputs } from '@kata-agent/config';
import { readHostData } from '@kata-agent/measurement';
import { existsSync } from 'node:fs';
import { loadModule } from './init/modules.js';

/** The kernel's driver of fw_cfg, and where it shows what there is. */
const fwCfg = { module: 'qemu_fw_cfg', folder: '/sys/firmware/qemu_fw_cfg' };

/** The ways by which further documents come into this guest, and what binds them. */
export function delivery(options: {
  readonly kernelLine: string;
  readonly relaxedPermissions: boolean;
}): Pick<Inputs, 'delivery' | 'hostData'> {
  const sources = deliverySources(options);
  return {
    delivery: process.pid === 1 ? sources.map(withDriver) : sources,
    hostData: () => readHostData(),
  };
}

/**
 * Where the agent is the first process, no udev finds drivers for devices. That of fw_cfg is loaded when a document asks
 * for that way, and not before: a kernel that reads nothing from the host cannot be hurt by it.
 */
function withDriver(source: DeliverySource): DeliverySource {
  if (source.name !== 'fw_cfg') return source;
  return {
    name: source.name,
    collect: (settings) => {
      const failure = existsSync(fwCfg.folder) ? undefined : loadModule(fwCfg.module);
      if (failure === undefined) return source.collect(settings);
      const message = `fw_cfg cannot be read: ${failure}`;
      const help = `put the kernel's module ${fwCfg.module} into the image, or take fw_cfg out of accept`;
      return { ok: false, diagnostics: [{ severity: 'error', message, help }] };
    },
  };
}
