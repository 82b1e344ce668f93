import { BlockList, isIP } from 'node:net';
import { create } from '@bufbuild/protobuf';
import {
  type AddARPNeighborsRequest,
  AddARPNeighborsRequestSchema,
  type UpdateInterfaceRequest,
  UpdateInterfaceRequestSchema,
  type UpdateRoutesRequest,
  UpdateRoutesRequestSchema,
} from '@kata-agent/protocol/agent';
import { type IPAddress, IPFamily } from '@kata-agent/protocol/types';
import { checkRange, isPciPath, malformed, quoted, refused } from './values.js';

const interfaceName = /^[A-Za-z0-9_][A-Za-z0-9_.-]{0,14}$/;
/** Files of the kernel for all interfaces, and loopback, which belongs to the pod (S34). */
const reserved: ReadonlySet<string> = new Set(['lo', 'all', 'default']);
const hardwareAddress = /^[0-9a-fA-F]{2}(?::[0-9a-fA-F]{2}){5}(?:(?::[0-9a-fA-F]{2}){14})?$/;
/** An address of a CCW device, of s390x. */
const ccw = /^[0-9a-f]\.[0-3]\.[0-9a-f]{4}$/;
/** Below it the kernel removes IPv4 from an interface. */
const minMtu = 68;
const maxMtu = 65_536;
const maxParts = 1_024;
const loopback = new BlockList();
loopback.addSubnet('127.0.0.0', 8, 'ipv4');
loopback.addAddress('::1', 'ipv6');

/** @throws NotAlike */
export function readUpdateInterface({ interface: wanted }: UpdateInterfaceRequest): UpdateInterfaceRequest {
  if (wanted === undefined) throw malformed('interface', 'it is missing');
  const { device, name, IPAddresses, mtu, hwAddr, devicePath, type, rawFlags } = wanted;
  const at = 'interface';
  checkName(`${at}.name`, name);
  if (device !== '') checkName(`${at}.device`, device);
  checkHardware(`${at}.hwAddr`, hwAddr);
  if (devicePath !== '' && !isPciPath(devicePath) && !ccw.test(devicePath))
    throw malformed(`${at}.devicePath`, `${quoted(devicePath)} is not the path of a PCI or CCW device`);
  if (!/^[A-Za-z0-9_-]{0,32}$/.test(type)) throw malformed(`${at}.type`, `${quoted(type)} is not a word`);
  // Kata's agent converts it to a u32 (netlink.rs:213).
  checkMtu(`${at}.mtu`, mtu);
  checkParts(`${at}.IPAddresses`, IPAddresses);
  const addresses = IPAddresses.map((address, index) => {
    const field = `${at}.IPAddresses[${index}]`;
    readAddress(field, address);
    const bits = address.family === IPFamily.v4 ? 32 : 128;
    if (!/^(?:0|[1-9]\d{0,2})$/.test(address.mask) || Number(address.mask) > bits)
      throw malformed(`${field}.mask`, `${quoted(address.mask)} is not from 0 to ${bits}`);
    return { family: address.family, address: address.address, mask: address.mask };
  });
  return create(UpdateInterfaceRequestSchema, {
    interface: { device, name, IPAddresses: addresses, mtu, hwAddr, devicePath, type, rawFlags },
  });
}

/** @throws NotAlike */
export function readUpdateRoutes({ routes }: UpdateRoutesRequest): UpdateRoutesRequest {
  if (routes === undefined) throw malformed('routes', 'they are missing');
  checkParts('routes', routes.Routes);
  const read = routes.Routes.map(({ dest, gateway, device, source, scope, family, flags, mtu }, index) => {
    const at = `routes[${index}]`;
    checkName(`${at}.device`, device);
    if (family !== IPFamily.v4 && family !== IPFamily.v6)
      throw malformed(`${at}.family`, `${String(family)} is not v4 or v6`);
    for (const [name, network] of [
      ['dest', dest],
      ['source', source],
    ] as const)
      if (network !== '') checkNetwork(`${at}.${name}`, network, family);
    if (gateway !== '') checkAddress(`${at}.gateway`, gateway, family);
    // A u8 there (netlink.rs:526).
    checkRange(`${at}.scope`, scope, 0, 255);
    checkMtu(`${at}.mtu`, BigInt(mtu));
    return { dest, gateway, device, source, scope, family, flags, mtu };
  });
  return create(UpdateRoutesRequestSchema, { routes: { Routes: read } });
}

/** @throws NotAlike */
export function readAddNeighbors({ neighbors }: AddARPNeighborsRequest): AddARPNeighborsRequest {
  if (neighbors === undefined) throw malformed('neighbors', 'they are missing');
  checkParts('neighbors', neighbors.ARPNeighbors);
  const read = neighbors.ARPNeighbors.map(({ toIPAddress, device, lladdr, state, flags }, index) => {
    const at = `neighbors[${index}]`;
    if (toIPAddress === undefined) throw malformed(`${at}.toIPAddress`, 'it is missing');
    readAddress(`${at}.toIPAddress`, toIPAddress);
    checkName(`${at}.device`, device);
    if (lladdr !== '') checkHardware(`${at}.lladdr`, lladdr);
    // A u16 and a u8 there (netlink.rs:734-741).
    checkRange(`${at}.state`, state, 0, 255);
    checkRange(`${at}.flags`, flags, 0, 255);
    const { family, address, mask } = toIPAddress;
    if (!/^\d{0,3}$/.test(mask)) throw malformed(`${at}.toIPAddress.mask`, `${quoted(mask)} is not a number`);
    return { toIPAddress: { family, address, mask }, device, lladdr, state, flags };
  });
  return create(AddARPNeighborsRequestSchema, { neighbors: { ARPNeighbors: read } });
}

function checkParts(field: string, all: readonly unknown[]): void {
  if (all.length > maxParts)
    throw malformed(field, `it has ${all.length} entries, and the limit is ${maxParts}`);
}

function readAddress(field: string, { family, address }: IPAddress): void {
  if (family !== IPFamily.v4 && family !== IPFamily.v6)
    throw malformed(`${field}.family`, `${String(family)} is not v4 or v6`);
  checkAddress(`${field}.address`, address, family);
}

/** Kata's agent takes the family of the address, and rules see that of the request. */
function checkAddress(field: string, address: string, family: IPFamily): void {
  const version = address.includes('%') ? 0 : isIP(address);
  if (version !== (family === IPFamily.v4 ? 4 : 6))
    throw malformed(
      field,
      `${quoted(address)} is not an address of IP${family === IPFamily.v4 ? 'v4' : 'v6'}`,
    );
  if (loopback.check(address, version === 4 ? 'ipv4' : 'ipv6'))
    throw refused(field, `${quoted(address)} is of loopback, which belongs to the pod`);
}

function checkNetwork(field: string, text: string, family: IPFamily): void {
  const [address = '', prefix, ...rest] = text.split('/');
  checkAddress(field, address, family);
  const bits = family === IPFamily.v4 ? 32 : 128;
  const isPrefix = prefix === undefined || (/^(?:0|[1-9]\d{0,2})$/.test(prefix) && Number(prefix) <= bits);
  if (!isPrefix || rest.length > 0)
    throw malformed(field, `${quoted(text)} does not end in a prefix of 0 to ${bits}`);
}

function checkName(field: string, name: string): void {
  if (!interfaceName.test(name))
    throw malformed(field, `${quoted(name)} is not 1 to 15 of A-Z a-z 0-9 _ . -`);
  if (reserved.has(name)) throw refused(field, `${quoted(name)} is of loopback or of the kernel`);
}

function checkHardware(field: string, address: string): void {
  if (!hardwareAddress.test(address))
    throw malformed(field, `${quoted(address)} is not like 02:00:5e:10:00:01`);
  if (/^[0:]+$/.test(address)) throw refused(field, `${address} is of loopback, which belongs to the pod`);
}

function checkMtu(field: string, mtu: bigint): void {
  if (mtu !== 0n) checkRange(field, mtu, minMtu, maxMtu);
}
