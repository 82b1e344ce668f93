import type { Socket as NetSocket } from 'node:net';
import { Socket } from './constants.js';
import { Descriptor } from './descriptor.js';
import { streamOn } from './socket-exchange.js';
import { hasCode } from './syscall-error.js';
import type { Syscalls } from './syscalls.js';

/** A change of the kernel's devices (NETLINK_KOBJECT_UEVENT). */
export interface Uevent {
  /** `add`, `remove`, `change`, … */
  readonly action: string;
  /** Below /sys: `/devices/pci0000:00/0000:00:02.0/virtio1/block/vda`. */
  readonly devicePath: string;
  readonly subsystem: string;
}

/** Listens until it is closed. */
export interface UeventListener {
  close(): void;
}

const KobjectUevent = 15;
const kernelGroup = 1;

/** What a listener is told. */
export interface UeventReceiver {
  readonly event: (event: Uevent) => void;
  /** The kernel dropped events, since they came faster than they were read: look at /sys itself. */
  readonly lost: () => void;
  /** It hears nothing any more. */
  readonly fault: (error: Error) => void;
}

/** Listens to the kernel's word of devices. */
export function listenUevents(syscalls: Syscalls, to: UeventReceiver): UeventListener {
  let socket = open();
  return { close: () => void socket.destroy() };

  function open(): NetSocket {
    const opened = openSocket(syscalls);
    opened.on('data', (message: Buffer) => {
      const event = parseUevent(message);
      if (event !== undefined) to.event(event);
    });
    opened.on('error', (error) => {
      opened.destroy();
      if (!hasCode(error, 'ENOBUFS')) return to.fault(error);
      // libuv ends a stream at its first error, so this one is over; the kernel's next events go to another.
      socket = open();
      to.lost();
    });
    // A program that waits for nothing but devices has nothing left to do.
    return opened.unref();
  }
}

function openSocket(syscalls: Syscalls): NetSocket {
  const netlink = new Descriptor(
    syscalls,
    syscalls.socket(Socket.Netlink, Socket.Raw | Socket.NonBlock | Socket.CloseOnExec, KobjectUevent),
  );
  try {
    syscalls.bind(netlink.fd, netlinkAddress(kernelGroup), 'uevents');
    return streamOn(syscalls, netlink, { writable: false });
  } finally {
    netlink.close();
  }
}

/** `add@/devices/…`, then `NAME=value` texts, each ended by a NUL. Undefined: not of this form, as those of udev. */
export function parseUevent(message: Uint8Array): Uevent | undefined {
  const [head = '', ...lines] = Buffer.from(message).toString('latin1').split('\0');
  if (!/^[a-z]+@\//.test(head)) return undefined;
  const values = new Map(
    lines.map((line) => {
      const at = line.indexOf('=');
      return [line.slice(0, Math.max(at, 0)), line.slice(at + 1)];
    }),
  );
  const [action, devicePath] = [values.get('ACTION'), values.get('DEVPATH')];
  if (action === undefined || devicePath === undefined) return undefined;
  return { action, devicePath, subsystem: values.get('SUBSYSTEM') ?? '' };
}

/** struct sockaddr_nl: family, padding, port (0: the kernel gives one), groups. */
function netlinkAddress(groups: number): Uint8Array {
  const address = Buffer.alloc(12);
  address.writeUInt16LE(Socket.Netlink, 0);
  address.writeUInt32LE(groups, 8);
  return address;
}
