import { pciAddress } from './pci-path.js';

/** Addresses of PCI devices: on the host, and of the same device in the guest. */
export type PciAddresses = ReadonlyMap<string, string>;

const prefix = 'PCIDEVICE_';
const detailSuffix = '_INFO';
const addressInText = /[0-9a-f]{4}:[0-9a-f]{2}:[0-9a-f]{2}\.[0-7]/gi;

/**
 * Returns an environment in which the variables of SR-IOV device plug-ins have the guest's addresses: `PCIDEVICE_NAME` lists
 * devices, and `PCIDEVICE_NAME_INFO` describes the same ones in JSON. A variable with an address that is not one of the
 * container's devices, or with other values, is unchanged with its description, as with Kata's agent (Kata 4.1,
 * src/agent/src/device/mod.rs, update_env_pci).
 */
export function withGuestAddresses(env: readonly string[], addresses: PciAddresses): readonly string[] {
  const translated = new Map<string, PciAddresses>();
  const first = env.map((entry) => {
    const [name, value] = split(entry);
    if (!name.startsWith(prefix) || name.endsWith(detailSuffix)) return entry;
    const found = translation(value, addresses);
    if (found === undefined) return entry;
    translated.set(`${name}${detailSuffix}`, new Map(found));
    return `${name}=${found.map(([, guest]) => guest).join(',')}`;
  });
  return first.map((entry) => {
    const [name, value] = split(entry);
    const own = translated.get(name);
    if (own === undefined) return entry;
    return `${name}=${value.replace(addressInText, (text) => own.get(pciAddress(text) ?? '') ?? text)}`;
  });
}

/** Returns the devices of a list, with both addresses; undefined: one is not known. */
function translation(
  value: string,
  addresses: PciAddresses,
): readonly (readonly [string, string])[] | undefined {
  const found = value.split(',').flatMap((text) => {
    const host = pciAddress(text);
    const guest = host === undefined ? undefined : addresses.get(host);
    return host === undefined || guest === undefined ? [] : [[host, guest] as const];
  });
  return found.length === value.split(',').length ? found : undefined;
}

function split(entry: string): readonly [name: string, value: string] {
  const at = entry.indexOf('=');
  return at === -1 ? [entry, ''] : [entry.slice(0, at), entry.slice(at + 1)];
}
