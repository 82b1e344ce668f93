import { create } from '@bufbuild/protobuf';
import { type Device, DeviceSchema } from '@kata-agent/protocol/agent';
import {
  type LinuxDevice,
  type LinuxDeviceCgroup,
  LinuxDeviceCgroupSchema,
  LinuxDeviceSchema,
} from '@kata-agent/protocol/oci';
import { defaultDevices } from '@kata-agent/gate';
import type { FormContext } from './forwarded-sandbox.js';
import {
  checkCleanPath,
  checkDistinct,
  checkRange,
  isPciPath,
  malformed,
  quoted,
  refused,
} from './values.js';
import { checkDiskAddress } from './disk-storages.js';

/** Types of attached disks. Kata's agent replaces the number of their node (block_device_handler.rs:52-112). */
const disks: ReadonlySet<string> = new Set(['blk', 'scsi', 'blk-ccw', 'mmioblk', 'nvdimm']);

/** Sizes of device numbers in the kernel (linux/kdev_t.h): larger ones name another device. */
const maxMajor = 2 ** 12 - 1;
const maxMinor = 2 ** 20 - 1;

/** Devices for attestation: a process that opens one can request evidence in the guest's name (S32). */
const evidence = /^(?:tpm\d*|tpmrm\d+|vtpmx|sev|sev-guest|tdx_guest|tdx-guest|tdx-attest)$/;
const firstTpm = '10:224';
/** /dev/mem, /dev/kmem and /dev/port. */
const guestMemory: ReadonlySet<string> = new Set(['1:1', '1:2', '1:4']);
const hostAddress = /^[0-9a-f]{4}:[0-9a-f]{2}:[0-9a-f]{2}\.[0-7]$/;

/** Reads the devices that a request attaches. @throws NotAlike */
export function readDevices(devices: readonly Device[], context: FormContext): readonly Device[] {
  checkDistinct(
    'devices.container_path',
    devices.map(({ containerPath }) => containerPath),
  );
  return devices.map((device, index) => {
    const at = `devices[${index}]`;
    const { id, type, vmPath, containerPath, options } = device;
    checkNodePath(`${at}.container_path`, containerPath);
    if (disks.has(type)) readDisk(device, at, context);
    else if (type === 'vfio-pci' || type === 'vfio-pci-gk') readVfio(device, at);
    else
      throw refused(
        `${at}.type`,
        `${quoted(type)} is not forwarded`,
        `use one of ${[...disks, 'vfio-pci', 'vfio-pci-gk'].join(', ')}`,
      );
    return create(DeviceSchema, { id, type, vmPath, containerPath, options: [...options] });
  });
}

function readDisk({ type, id, vmPath, options }: Device, at: string, context: FormContext): void {
  if (options.length > 0) throw refused(`${at}.options`, `no runtime sets options of a ${type}`);
  if (type === 'nvdimm') {
    if (id !== '') throw refused(`${at}.id`, 'no runtime sets it for nvdimm');
    checkDiskAddress(`${at}.vm_path`, type, vmPath, context);
    return;
  }
  checkDiskAddress(`${at}.id`, type, id, context);
  if (type === 'mmioblk' && vmPath !== id)
    throw malformed(`${at}.vm_path`, `${quoted(vmPath)} is not the device of id, ${quoted(id)}`);
  // Kata's agent finds it by its address.
  if (vmPath !== '' && !/^\/dev\/vd[a-z]{1,2}$/.test(vmPath))
    throw malformed(`${at}.vm_path`, `${quoted(vmPath)} is not the device of a disk`);
}

/** Source: Kata, kata_agent.go:1238-1315, vfio_device_handler.rs:58-123. */
function readVfio({ id, type, vmPath, options }: Device, at: string): void {
  if (!/^[A-Za-z0-9_.:-]{1,64}$/.test(id))
    throw malformed(`${at}.id`, `${quoted(id)} is not the name of a group`);
  if (vmPath !== '') throw refused(`${at}.vm_path`, 'no runtime sets it for a PCI device');
  if (options.length === 0) throw malformed(`${at}.options`, 'a PCI device has one option for each function');
  checkDistinct(
    `${at}.options`,
    options.map((option) => option.split('=', 1)[0] ?? ''),
  );
  for (const option of options) {
    const at0 = option.indexOf('=');
    const [host, guest] = [option.slice(0, at0), option.slice(at0 + 1)];
    if (!hostAddress.test(host) || !(isPciPath(guest) || (guest === '' && type === 'vfio-pci-gk')))
      throw malformed(`${at}.options`, `${quoted(option)} is not HOST-ADDRESS=PCI-PATH: 0000:00:01.0=02/01`);
  }
}

/**
 * Reads the nodes of a container. Each path is named once, since Kata's agent gives only the first of them the number of the
 * attached device (`update_spec_devices`, src/agent/src/device/mod.rs:722-757), and the type must be that of the device.
 *
 * @throws NotAlike
 */
export function readNodes(
  nodes: readonly LinuxDevice[],
  devices: readonly Device[],
  context: FormContext,
): readonly LinuxDevice[] {
  checkDistinct(
    'OCI.Linux.Devices.Path',
    nodes.map(({ Path }) => Path),
  );
  const attached = new Map(devices.map(({ containerPath, type }) => [containerPath, type]));
  const missing = devices.find(
    ({ containerPath, type }) => type !== 'vfio-pci-gk' && !nodes.some(({ Path }) => Path === containerPath),
  );
  if (missing !== undefined)
    throw malformed(
      'OCI.Linux.Devices',
      `it has no node for the attached device ${quoted(missing.containerPath)}`,
    );
  const replaced = nodes.filter(({ Path }) => isReplaced(attached.get(Path)));
  checkDistinct('OCI.Linux.Devices', replaced.filter(isNumbered).map(numberOf));
  return nodes.map((node, index) => {
    const at = `OCI.Linux.Devices[${index}]`;
    const { Path, Type, Major, Minor, FileMode, UID, GID } = node;
    checkNodePath(`${at}.Path`, Path);
    checkRange(`${at}.Major`, Major, 0, maxMajor);
    checkRange(`${at}.Minor`, Minor, 0, maxMinor);
    checkRange(`${at}.FileMode`, FileMode, 0, 0o177777);
    const type = attached.get(Path);
    if (type === 'vfio-pci-gk')
      throw refused(`${at}.Path`, `${quoted(Path)} is a device for the guest's own driver, and has no node`);
    if (isReplaced(type)) {
      const wanted = type === 'vfio-pci' ? 'c' : 'b';
      if (Type !== wanted)
        throw malformed(`${at}.Type`, `${quoted(Type)} is not that of the attached device, "${wanted}"`);
    } else checkOwnNode(node, at, context);
    return create(LinuxDeviceSchema, { Path, Type, Major, Minor, FileMode, UID, GID });
  });
}

/** Reports whether Kata's agent writes the guest's number into a node for an attached device of this type. */
function isReplaced(type: string | undefined): boolean {
  return type !== undefined && (disks.has(type) || type === 'vfio-pci');
}

function isNumbered({ Major, Minor }: LinuxDevice): boolean {
  return Major !== 0n || Minor !== 0n;
}

function numberOf({ Type, Major, Minor }: LinuxDevice): string {
  return `${Type} ${Major}:${Minor}`;
}

/** A node that the inner agent creates with the number as given. */
function checkOwnNode({ Path, Type, Major, Minor }: LinuxDevice, at: string, context: FormContext): void {
  const number = `${Major}:${Minor}`;
  if (Type === 'b')
    throw refused(
      `${at}.Type`,
      `${quoted(Path)} (b ${number}) is a block device of the guest: no device of the request is attached there`,
    );
  if (Type !== 'c') throw refused(`${at}.Type`, `${quoted(Type)} is not c or b`);
  const { access, isRefusing, nodes } = context;
  const name = Path.slice('/dev/'.length);
  if (evidence.test(name) || number === firstTpm || evidence.test(nodes.nameOf(number) ?? ''))
    throw refused(
      at,
      `${quoted(Path)} (c ${number}) is for attestation of the guest, and no container gets it`,
    );
  if (guestMemory.has(number)) throw refused(at, `${quoted(Path)} (c ${number}) is the guest's own memory`);
  if (!isRefusing || defaultDevices.get(Path) === number || access.devices.includes(`c ${number}`)) return;
  // This agent would use the guest's number. The inner one uses that of the request.
  if (access.devices.includes(Path) && nodes.numberOf(Path) === number) return;
  throw refused(
    at,
    `${quoted(Path)} is not the device c ${number} of the guest`,
    `add "c ${number}" to [agent] devices, or send the guest's number`,
  );
}

/** Kata's agent creates nodes below /dev alone (rustjail/src/mount.rs:907-915). */
function checkNodePath(field: string, path: string): void {
  checkCleanPath(field, path);
  if (!path.startsWith('/dev/')) throw refused(field, `${quoted(path)} is not below /dev`);
}

/**
 * Reads device rules. Kata's agent takes an unknown type for all devices, and a number below 0 for 0 (trans.rs:527-549,
 * rustjail/src/cgroups/fs/mod.rs:594-600): a rule for many devices that allows some becomes narrower, and one that denies some
 * would deny none.
 *
 * @param attached numbers of nodes for attached disks: `b 8:16`
 * @throws NotAlike
 */
export function readDeviceRules(
  rules: readonly LinuxDeviceCgroup[],
  field: string,
  context: FormContext,
  attached: ReadonlySet<string>,
): readonly LinuxDeviceCgroup[] {
  return rules.map((rule, index) => {
    const at = `${field}[${index}]`;
    const { Allow, Type, Major, Minor, Access } = rule;
    if (!['a', 'b', 'c', ''].includes(Type))
      throw malformed(`${at}.Type`, `${quoted(Type)} is not a, b or c`);
    checkRange(`${at}.Major`, Major, -1, maxMajor);
    checkRange(`${at}.Minor`, Minor, -1, maxMinor);
    if (!/^[rwm]{0,3}$/.test(Access))
      throw malformed(`${at}.Access`, `${quoted(Access)} is not made of r, w and m`);
    checkDistinct(`${at}.Access`, Access.split(''));
    const isAll = (Type === 'a' || Type === '') && Major <= 0n && Minor <= 0n && Access.length === 3;
    if (!Allow && !isAll)
      throw refused(
        at,
        'a rule that denies some devices would deny none in the inner agent',
        'deny all, and allow what is needed',
      );
    const isOpen = Allow && Type === 'b' && Access !== 'm' && Access !== '';
    if (context.isRefusing && isOpen && !attached.has(`b ${Major}:${Minor}`))
      throw refused(
        at,
        `b ${Major}:${Minor} can be a disk of the guest`,
        'leave it out: the rule of an attached disk is added',
      );
    return create(LinuxDeviceCgroupSchema, { Allow, Type, Major, Minor, Access });
  });
}
