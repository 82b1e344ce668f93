import { formatIpAddress, LinkFlag, localAddress, type Rtnetlink } from '@kata-agent/linux';
import type { Link } from './links.js';
import { refuseLoopbackLink } from './loopback.js';
import { linkNotFound } from './refusal.js';

declare module '../media/host-media.js' {
  interface MediaTasks {
    readonly readLinks: (args: Readonly<Record<string, never>>) => readonly Link[];
  }
}

/** Returns all links of the guest, in the kernel's order. */
export function readLinks(kernel: Rtnetlink): readonly Link[] {
  const addresses = kernel.addresses();
  return kernel.links().map(({ index, name, hwAddr, mtu, flags }) => ({
    index,
    name,
    hwAddr: formatHwAddr(hwAddr),
    mtu,
    up: (flags & LinkFlag.Up) !== 0,
    loopback: (flags & LinkFlag.Loopback) !== 0,
    noArp: (flags & LinkFlag.NoArp) !== 0,
    addresses: addresses.flatMap((each) => {
      const local = localAddress(each);
      return each.index !== index || local === undefined
        ? []
        : [{ address: formatIpAddress(local), prefix: each.prefix }];
    }),
  }));
}

/**
 * Returns the indexes of links that a change names. Throws `not-found` if one does not exist, and `refused` if it is the loopback
 * interface.
 */
export function changeableLinks(names: ReadonlySet<string>, kernel: Rtnetlink): (name: string) => number {
  const present = names.size === 0 ? [] : readLinks(kernel);
  const indexes = new Map<string, number>();
  for (const name of names) {
    const link = present.find((each) => each.name === name);
    if (link === undefined) throw linkNotFound(`Name: ${name}`);
    refuseLoopbackLink(link);
    indexes.set(name, link.index);
  }
  return (name) => {
    const index = indexes.get(name);
    if (index === undefined) throw linkNotFound(`Name: ${name}`);
    return index;
  };
}

function formatHwAddr(bytes: Buffer): string {
  return bytes.toString('hex').replace(/..(?!$)/g, '$&:');
}

export function parseHwAddr(text: string): Buffer {
  return Buffer.from(text.replaceAll(':', ''), 'hex');
}
