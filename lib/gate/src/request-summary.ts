import { createHash } from 'node:crypto';
import type { NetworkSummary, RequestSummary } from '@kata-agent/catalogue';
import { isMessage, type Message } from '@bufbuild/protobuf';
import {
  AddARPNeighborsRequestSchema,
  type CopyFileRequest,
  CopyFileRequestSchema,
  type CreateContainerRequest,
  CreateContainerRequestSchema,
  type CreateSandboxRequest,
  CreateSandboxRequestSchema,
  ExecProcessRequestSchema,
  type SetGuestDateTimeRequest,
  SetGuestDateTimeRequestSchema,
  type SetIPTablesRequest,
  SetIPTablesRequestSchema,
  type Storage,
  UpdateEphemeralMountsRequestSchema,
  UpdateInterfaceRequestSchema,
  UpdateRoutesRequestSchema,
} from '@kata-agent/protocol/agent';
import type { LinuxNamespace, Process } from '@kata-agent/protocol/oci';
import type { ARPNeighbor, Interface, IPAddress, Route } from '@kata-agent/protocol/types';
import { noAccess, type PrivilegeAccess } from './privileged/privilege.js';
import { privilegesOf, reasonsOf } from './privileged/privileges-of.js';
import { defaultCapabilities } from './privileged/runtime-defaults.js';
import { claimedImage } from './facts/claims.js';
import { capabilitiesOf } from './facts/process-of.js';

/** Summarizes a request; empty when nothing is recorded of it. `access` is what the configuration opens. */
export function summaryOf(request: Message, access: PrivilegeAccess = noAccess): RequestSummary {
  if (isMessage(request, CreateContainerRequestSchema))
    return { ...containerSummary(request), ...privilegeSummary(request, access) };
  if (isMessage(request, ExecProcessRequestSchema))
    return { ...processSummary(request.process), ...privilegeSummary(request, access) };
  if (isMessage(request, CreateSandboxRequestSchema)) return sandboxSummary(request);
  if (isMessage(request, UpdateEphemeralMountsRequestSchema)) return storageSummary(request.storages);
  if (isMessage(request, UpdateInterfaceRequestSchema)) return networkInterface(request.interface);
  if (isMessage(request, UpdateRoutesRequestSchema)) return routes(request.routes?.Routes ?? []);
  if (isMessage(request, AddARPNeighborsRequestSchema))
    return neighbours(request.neighbors?.ARPNeighbors ?? []);
  if (isMessage(request, SetIPTablesRequestSchema)) return packetFilter(request);
  if (isMessage(request, CopyFileRequestSchema)) return { file: fileSummary(request) };
  if (isMessage(request, SetGuestDateTimeRequestSchema)) return { time: timeText(request) };
  return {};
}

function containerSummary({
  OCI: spec,
  storages,
  devices,
  sharedMounts,
}: CreateContainerRequest): RequestSummary {
  const image = claimedImage(spec?.Annotations ?? {});
  const { Devices = [], Namespaces = [] } = spec?.Linux ?? {};
  return {
    ...(image !== '' && { image }),
    ...processSummary(spec?.Process),
    ...(Namespaces.length > 0 && { namespaces: Namespaces.map(namespaceText) }),
    ...listed('mounts', spec?.Mounts ?? [], ({ type, source, destination }) => ({
      type,
      source,
      destination,
    })),
    ...storageSummary(storages),
    ...listed('sharedMounts', sharedMounts, ({ srcCtr, srcPath, dstPath }) => ({
      source: `${srcCtr}:${srcPath}`,
      destination: dstPath,
    })),
    ...listed(
      'devices',
      [
        ...Devices.map(({ Type, Path }) => ({ type: Type, path: Path })),
        ...devices.map(({ type, containerPath }) => ({ type, path: containerPath })),
      ],
      (device) => device,
    ),
  };
}

function privilegeSummary(request: Message, access: PrivilegeAccess): RequestSummary {
  const privileges = reasonsOf(privilegesOf(request, access));
  return privileges.length > 0 ? { privileges } : {};
}

function processSummary(process: Process | undefined): RequestSummary {
  if (process === undefined) return {};
  const capabilities = capabilitiesOf(process.Capabilities).filter((name) => !defaultCapabilities.has(name));
  return {
    user: `${process.User?.UID ?? 0}:${process.User?.GID ?? 0}`,
    ...(capabilities.length > 0 && { capabilities }),
  };
}

function sandboxSummary({ storages, kernelModules }: CreateSandboxRequest): RequestSummary {
  const modules = kernelModules.map(({ name, parameters }) => [name, ...parameters].join(' '));
  return { ...storageSummary(storages), ...(modules.length > 0 && { kernelModules: modules }) };
}

function storageSummary(storages: readonly Storage[]): RequestSummary {
  return listed('storages', storages, ({ driver, source, mountPoint }) => ({ driver, source, mountPoint }));
}

function fileSummary({
  path,
  fileMode,
  fileSize,
  uid,
  gid,
  offset,
}: CopyFileRequest): NonNullable<RequestSummary['file']> {
  return {
    path,
    mode: (fileMode >>> 0).toString(8),
    size: String(fileSize),
    owner: `${uid}:${gid}`,
    ...(offset !== 0n && { offset: String(offset) }),
  };
}

/** The last second that a Date can have. */
const lastSecond = 8_640_000_000_000n;

/** Times that no clock shows are recorded as they came: the request is refused later. */
function timeText({ Sec, Usec }: SetGuestDateTimeRequest): string {
  const shown = Sec >= 0n && Sec < lastSecond && Usec >= 0n && Usec <= 999_999n;
  return shown
    ? new Date(Number(Sec) * 1000 + Math.floor(Number(Usec) / 1000)).toISOString()
    : `${Sec} seconds, ${Usec} microseconds`;
}

function namespaceText({ Type, Path }: LinuxNamespace): string {
  return Path === '' ? Type : `${Type}=${Path}`;
}

/** Omits an empty list. */
function listed<K extends keyof RequestSummary, T, E>(
  name: K,
  list: readonly T[],
  entry: (item: T) => E,
): { readonly [P in K]?: readonly E[] } {
  const member: unknown = list.length === 0 ? {} : { [name]: list.map(entry) };
  return member as { readonly [P in K]?: readonly E[] };
}

function networkInterface(wanted: Interface | undefined): NetworkSummary {
  if (wanted === undefined) return {};
  const { name, device, devicePath, hwAddr, mtu, IPAddresses } = wanted;
  return {
    interface: {
      name,
      device: devicePath === '' ? device : devicePath,
      hardwareAddress: hwAddr,
      mtu: String(mtu),
      addresses: IPAddresses.map(addressText),
    },
  };
}

function routes(list: readonly Route[]): NetworkSummary {
  const entry = ({ dest, gateway, device, source }: Route) => ({
    destination: dest,
    gateway,
    device,
    source,
  });
  return { routes: list.map(entry) };
}

function neighbours(list: readonly ARPNeighbor[]): NetworkSummary {
  return {
    neighbours: list.map(({ toIPAddress, device, lladdr }) => ({
      address: toIPAddress?.address ?? '',
      device,
      hardwareAddress: lladdr,
    })),
  };
}

/** Summarizes a packet filter, whose text can be as long as a frame. */
function packetFilter({ isIpv6, data }: SetIPTablesRequest): NetworkSummary {
  const sha256 = createHash('sha256').update(data).digest('hex');
  return { packetFilter: { family: isIpv6 ? 'ipv6' : 'ipv4', bytes: String(data.length), sha256 } };
}

function addressText({ address, mask }: IPAddress): string {
  return mask === '' ? address : `${address}/${mask}`;
}
