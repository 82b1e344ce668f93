import {
  type Commitment,
  AddressAttribute,
  AddressFamily,
  AddressFlag,
  type AddressMessage,
  encodeIpAddress,
  type LinkChange,
  LinkFlag,
  type Rtnetlink,
} from '@kata-agent/linux';
import { parseHwAddr, readLinks } from './link-calls.js';
import type { Link } from './links.js';
import { refuseLoopbackLink } from './loopback.js';
import type { Interface, InterfaceAddress } from './network-values.js';
import { orRestore } from './or-restore.js';
import { explainRefusal, linkNotFound } from './refusal.js';
import { SavedLinks } from './saved-links.js';

declare module '../media/host-media.js' {
  interface MediaTasks {
    /** Configures a link as requested, or leaves it as it was. */
    readonly configureLink: (args: { readonly index: number; readonly wanted: Interface }) => void;
  }
}

/**
 * Sets hardware address, name, MTU and addresses of a link, and sets it up; if the kernel refuses something, the previous state is
 * restored. The kernel lets a link be renamed, and most drivers change its address, only while it is down.
 */
export function configureLink(index: number, wanted: Interface, kernel: Rtnetlink, call: Commitment): void {
  const present = readLinks(kernel);
  const link = present.find((each) => each.index === index);
  if (link === undefined) throw linkNotFound(`Index: ${index}`);
  const named = present.find(({ name }) => name === wanted.name);
  const touched = named === undefined || named === link ? [link] : [link, named];
  for (const each of touched) refuseLoopbackLink(each);
  const saved = new SavedLinks(touched, kernel);
  orRestore({
    make() {
      if (link.up) setLink(link, { flags: { Up: false } }, kernel);
      if (wanted.hwAddr !== '' && link.hwAddr !== wanted.hwAddr.toLowerCase())
        setLink(link, { hwAddr: parseHwAddr(wanted.hwAddr) }, kernel);
      takeName(link, wanted.name, named, kernel);
      bringUp(link, wanted, kernel);
      saved.restoreOtherTables();
    },
    restore: () => saved.restore(),
    call,
  });
}

function setLink({ name, index }: Link, change: Omit<LinkChange, 'index'>, kernel: Rtnetlink): void {
  explainRefusal(`interface ${name}`, () => kernel.setLink({ index, ...change }));
}

/** Renames a link that is down. Another link with that name gets this one's old name. */
function takeName(link: Link, name: string, other: Link | undefined, kernel: Rtnetlink): void {
  if (link.name === name) return;
  if (other === undefined) return setLink(link, { name }, kernel);
  if (other.up) setLink(other, { flags: { Up: false } }, kernel);
  setLink(other, { name: `kata-swap${process.pid % 100_000}` }, kernel);
  setLink(link, { name }, kernel);
  setLink(other, { name: link.name }, kernel);
  if (other.up) setLink(other, { flags: { Up: true } }, kernel);
}

function bringUp(link: Link, wanted: Interface, kernel: Rtnetlink): void {
  const flags = { Up: true, NoArp: (wanted.rawFlags & LinkFlag.NoArp) !== 0 };
  setLink(link, { flags, ...(wanted.mtu === 0 ? {} : { mtu: wanted.mtu }) }, kernel);
  for (const each of wanted.addresses)
    explainRefusal(`address ${each.address}/${each.prefix} dev ${wanted.name}`, () =>
      kernel.replaceAddress(encodedAddress(each, link.index)),
    );
}

/** Encodes an address of a link. */
function encodedAddress({ address, prefix }: InterfaceAddress, index: number): AddressMessage {
  const v6 = address.includes(':');
  const value = encodeIpAddress(address);
  return {
    family: v6 ? AddressFamily.Inet6 : AddressFamily.Inet,
    prefix,
    // The host's network plug-in guarantees that the address is unique; an address in duplicate detection cannot be the source of a
    // route.
    flags: v6 ? AddressFlag.NoDuplicateDetection : 0,
    scope: 0,
    index,
    attributes: [
      { type: AddressAttribute.Local, value },
      { type: AddressAttribute.Address, value },
    ],
  };
}
