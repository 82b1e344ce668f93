import { join } from 'node:path';
import { readIfThere } from '../read-if-there.js';
import type { Tools } from '../tool/tools.js';
import { checkInterface } from './check-network.js';
import { ip, ipBatch } from './ip.js';
import { type Link, linkNotFound, links } from './links.js';
import { refuseLoopbackLink } from './loopback.js';
import type { Interface } from './network-values.js';
import { orPutBack } from './put-back.js';
import { SavedLinks } from './saved-links.js';

const IFF_NOARP = 0x80;

export interface InterfaceContext {
  readonly tools: Tools;
  /** `/proc`. */
  readonly proc: string;
  /** The name of the link of a PCI device. Throws when it is not there. */
  readonly linkOfDevice: (devicePath: string) => string;
}

/**
 * Makes an interface what it is to be: found by its hardware address (or by its place on PCI, and then given the
 * address), renamed, with its addresses and MTU, up. Everything is checked before anything is changed; when the kernel
 * refuses something, the links are as they were.
 */
export async function updateInterface(wanted: Interface, context: InterfaceContext): Promise<void> {
  checkInterface(wanted);
  const { tools } = context;
  const present = await links(tools);
  const named = linkNamed(present, wanted.name);
  if (named !== undefined) refuseLoopbackLink(named);
  const found = findLink(wanted, present, context);
  refuseLoopbackLink(found);
  const touched = named === undefined || named === found ? [found] : [found, named];
  const saved = await SavedLinks.of(touched, tools);
  await orPutBack(
    async () => {
      const link = await withHwAddr(found, wanted.hwAddr, tools);
      if (link.up) await ip(tools, ['link', 'set', 'dev', link.name, 'down']);
      await takeName(link, wanted.name, named, tools);
      await bringUp(wanted, context);
    },
    () => saved.restore(),
  );
}

async function bringUp(wanted: Interface, { tools, proc }: InterfaceContext): Promise<void> {
  const arp = (wanted.rawFlags & IFF_NOARP) === 0 ? 'on' : 'off';
  const mtu = wanted.mtu === 0 ? [] : ['mtu', String(wanted.mtu)];
  await ip(tools, ['link', 'set', 'dev', wanted.name, ...mtu, 'arp', arp, 'up']);
  const v6 = speaksV6(proc);
  const commands = wanted.addresses
    // A guest without IPv6 takes a pod of both families all the same.
    .filter(({ address }) => v6 || !address.includes(':'))
    .map(({ address, prefix }) => {
      // The host's network plug-in has made sure that nobody else has the address; an address that the kernel still
      // checks cannot be the source of a route.
      const nodad = address.includes(':') ? ['nodad'] : [];
      return ['address', 'replace', `${address}/${prefix}`, 'dev', wanted.name, ...nodad];
    });
  await ipBatch(tools, [], commands);
}

function findLink(wanted: Interface, present: readonly Link[], { linkOfDevice }: InterfaceContext): Link {
  const { devicePath, hwAddr, name } = wanted;
  if (devicePath !== '') {
    const device = linkOfDevice(devicePath);
    const link = linkNamed(present, device);
    if (link === undefined) throw linkNotFound(`Name: ${device}`);
    return link;
  }
  // A machine that came from a template has the card of the machine that it was copied from, under the same name.
  const link = present.find((each) => each.hwAddr === hwAddr.toLowerCase()) ?? linkNamed(present, name);
  if (link === undefined) throw linkNotFound(`Address: ${hwAddr}`);
  return link;
}

function linkNamed(present: readonly Link[], name: string): Link | undefined {
  return present.find((link) => link.name === name);
}

/** Gives a link its hardware address, when one is asked for; most drivers take one only while the link is down. */
async function withHwAddr(link: Link, hwAddr: string, tools: Tools): Promise<Link> {
  if (hwAddr === '' || link.hwAddr === hwAddr.toLowerCase()) return link;
  await ip(tools, ['link', 'set', 'dev', link.name, 'down']);
  await ip(tools, ['link', 'set', 'dev', link.name, 'address', hwAddr]);
  return { ...link, up: false, hwAddr: hwAddr.toLowerCase() };
}

/** Renames a link that is down. Another one of that name takes the old name of this one. */
async function takeName(link: Link, name: string, other: Link | undefined, tools: Tools): Promise<void> {
  if (link.name === name) return;
  if (other === undefined) {
    await ip(tools, ['link', 'set', 'dev', link.name, 'name', name]);
    return;
  }
  const passing = `kata-swap${process.pid % 100_000}`;
  if (other.up) await ip(tools, ['link', 'set', 'dev', other.name, 'down']);
  await ip(tools, ['link', 'set', 'dev', other.name, 'name', passing]);
  await ip(tools, ['link', 'set', 'dev', link.name, 'name', name]);
  await ip(tools, ['link', 'set', 'dev', passing, 'name', link.name]);
  if (other.up) await ip(tools, ['link', 'set', 'dev', link.name, 'up']);
}

/** Whether the kernel has IPv6 and it is not switched off for new links. */
function speaksV6(proc: string): boolean {
  return ['all', 'default'].some(
    (conf) => readIfThere(join(proc, `sys/net/ipv6/conf/${conf}/disable_ipv6`))?.trim() === '0',
  );
}
