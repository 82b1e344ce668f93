import type { Socket as NetSocket } from 'node:net';
import { Socket } from '../syscalls/constants.js';
import { Descriptor } from '../fs/descriptor.js';
import { netlinkAddress } from '../netlink/netlink-socket.js';
import { streamOn } from './socket-exchange.js';
import { hasCode } from '../syscalls/syscall-error.js';
import type { Syscalls } from '../syscalls/syscalls.js';

/** A kernel device event (NETLINK_KOBJECT_UEVENT). */
export interface Uevent {
  /** `add`, `remove`, `change`, … */
  readonly action: string;
  /** Path below /sys: `/devices/pci0000:00/0000:00:02.0/virtio1/block/vda`. */
  readonly devicePath: string;
  readonly subsystem: string;
}

/** An open uevent listener. */
export interface UeventListener {
  close(): void;
}

const KobjectUevent = 15;
const kernelGroup = 1;

/** Callbacks of a listener. */
export interface UeventReceiver {
  readonly event: (event: Uevent) => void;
  /** The kernel dropped events because they were not read fast enough: rescan /sys. */
  readonly lost: () => void;
  /** The listener has failed and receives no more events. */
  readonly fault: (error: Error) => void;
}

/** Listens to uevents of the kernel. */
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
      // libuv ends a stream at its first error, so later events are received on a new socket.
      socket = open();
      to.lost();
    });
    // Does not keep the process alive.
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

/**
 * Parses `add@/devices/…` followed by NUL-terminated `NAME=value` strings. Returns undefined for other formats, such as
 * udev's.
 */
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

/**
 * Creates an eventfd(2), passes it to `register`, and calls `raised` each time the kernel adds to it. Returns a
 * function that stops this. Throws what `register` throws, after closing the eventfd.
 */
export function listenEventfd(
  syscalls: Syscalls,
  register: (eventfd: number) => void,
  raised: () => void,
): () => void {
  const eventfd = new Descriptor(syscalls, syscalls.eventfd());
  try {
    register(eventfd.fd);
    const stream = streamOn(syscalls, eventfd, { writable: false });
    // A read returns the sum and resets it.
    stream.on('data', raised);
    // Does not keep the process alive.
    stream.unref();
    return () => void stream.destroy();
  } finally {
    eventfd.close();
  }
}
