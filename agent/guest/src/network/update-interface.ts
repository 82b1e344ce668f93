import { join } from 'node:path';
import { readIfThere } from '@kata-agent/base';
import type { HostMedia } from '../media/host-media.js';
import { type Link, links } from './links.js';
import { refuseLoopbackLink } from './loopback.js';
import { checkInterface, type Interface } from './network-values.js';
import { linkNotFound } from './refusal.js';

export interface InterfaceContext {
  readonly media: HostMedia;
  /** `/proc`. */
  readonly proc: string;
  /** Returns the name of the link of a PCI device. Throws if it does not exist. */
  readonly linkOfDevice: (devicePath: string) => string;
}

/**
 * Configures an interface as requested: finds it by hardware address (or else by PCI path, and sets the address),
 * renames it, sets addresses and MTU, and sets it up. Routes of other tables than main stay. Everything is checked before anything is changed; if the kernel
 * refuses something, the previous state is restored.
 */
export async function updateInterface(wanted: Interface, context: InterfaceContext): Promise<void> {
  checkInterface(wanted);
  const present = await links(context.media);
  const named = linkNamed(present, wanted.name);
  if (named !== undefined) refuseLoopbackLink(named);
  const { index } = findLink(wanted, present, context);
  const v6 = hasIPv6(context.proc);
  // A guest without IPv6 accepts a dual-stack pod, without its IPv6 addresses.
  const addresses = wanted.addresses.filter(({ address }) => v6 || !address.includes(':'));
  await context.media.run('configureLink', { index, wanted: { ...wanted, addresses } });
}

/** The hardware address decides, as in Kata's agent: the host's idea of a PCI path may differ from the guest's. */
function findLink(wanted: Interface, present: readonly Link[], { linkOfDevice }: InterfaceContext): Link {
  const { devicePath, hwAddr, name } = wanted;
  const addressed = hwAddr === '' ? undefined : present.find((each) => each.hwAddr === hwAddr.toLowerCase());
  if (addressed !== undefined) return addressed;
  if (devicePath !== '') {
    const device = linkOfDevice(devicePath);
    const link = linkNamed(present, device);
    if (link === undefined) throw linkNotFound(`Name: ${device}`);
    return link;
  }
  // A machine cloned from a template has the network card of the original, under the same name.
  const link = linkNamed(present, name);
  if (link === undefined) throw linkNotFound(`Address: ${hwAddr}`);
  return link;
}

function linkNamed(present: readonly Link[], name: string): Link | undefined {
  return present.find((link) => link.name === name);
}

/** Reports whether the kernel has IPv6 and it is enabled for new links. */
function hasIPv6(proc: string): boolean {
  return ['all', 'default'].some(
    (conf) =>
      readIfThere(join(proc, `sys/net/ipv6/conf/${conf}/disable_ipv6`))
        ?.toString()
        .trim() === '0',
  );
}
