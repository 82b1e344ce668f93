import { Buffer } from 'node:buffer';
import { Descriptor } from '../fs/descriptor.js';
import { bytes } from '../syscalls/koffi.js';
import { Socket } from '../syscalls/constants.js';
import { hasCode, SyscallError } from '../syscalls/syscall-error.js';
import type { Syscalls } from '../syscalls/syscalls.js';
import { checkAcknowledgement } from './acknowledgement.js';
import { MalformedMessage } from './netlink-error.js';
import {
  AnswerFlag,
  AnswerType,
  decodeMessages,
  encodeMessage,
  type NetlinkMessage,
  RequestFlag,
} from './netlink-message.js';

const NetlinkRoute = 0;

/** Options of netlink(7): an acknowledgement without the request, with the kernel's text; requests with unknown fields are refused. */
const Option = { CapAck: 10, ExtendedAck: 11, StrictCheck: 12 } as const;

/** The kernel writes at most 32 KiB of a list at a time (af_netlink.c, netlink_recvmsg). */
const bufferSize = 64 * 1024;

/** Of a list: a container with CAP_NET_ADMIN decides how many there are, and the thread has 64 MiB. A link has about 1.1 KB, a route 30 to 60 bytes. */
const maxListMessages = 20_000;

/** How often a list that changes while it is read is read. */
const maxDumps = 10;

/** Encodes struct sockaddr_nl: family, padding, port (0: the kernel), groups. */
export function netlinkAddress(groups: number): Uint8Array {
  const address = Buffer.alloc(12);
  address.writeUInt16LE(Socket.Netlink, 0);
  address.writeUInt32LE(groups, 8);
  return address;
}

/**
 * A socket of NETLINK_ROUTE, in the network namespace of the thread that creates it. The kernel performs a request and answers it
 * within send(2), and continues a list within recv(2): no answer is waited for. Both wait for the kernel's lock of the network
 * (rtnl), whose holder may wait for a device of the host: not for the event loop.
 */
export class NetlinkSocket {
  readonly #syscalls: Syscalls;
  readonly #socket: Descriptor;
  readonly #port: number;
  readonly #buffer = bytes(bufferSize);
  #sequence = 0;

  constructor(syscalls: Syscalls) {
    this.#syscalls = syscalls;
    this.#socket = new Descriptor(
      syscalls,
      syscalls.socket(Socket.Netlink, Socket.Raw | Socket.CloseOnExec, NetlinkRoute),
    );
    try {
      const { fd } = this.#socket;
      for (const option of Object.values(Option)) syscalls.setNetlinkOption(fd, option);
      // A connected socket receives from its peer alone, which is the kernel.
      syscalls.connect(fd, netlinkAddress(0), 'rtnetlink');
      this.#port = Buffer.from(syscalls.ownAddress(fd)).readUInt32LE(4);
    } catch (error) {
      this.close();
      throw error;
    }
  }

  close(): void {
    this.#socket.close();
  }

  /**
   * Makes a change.
   *
   * @param flags besides Request and Acknowledge.
   * @throws NetlinkError if the kernel refuses it.
   */
  change(type: number, flags: number, payload: Buffer): void {
    const request = this.#send(type, flags | RequestFlag.Request | RequestFlag.Acknowledge, payload);
    for (;;) {
      const answer = this.#receive().find((each) => each.type === AnswerType.Error);
      if (answer !== undefined) return checkAcknowledgement(answer, request);
    }
  }

  /**
   * Returns the payloads of a list (`type`: RTM_GET…), all of one state: a list that changes meanwhile is read again.
   *
   * @throws NetlinkError if the kernel refuses the request; ENOMEM if the list has more than 20,000 messages.
   */
  dump(type: number, payload: Buffer): readonly Buffer[] {
    for (let dumps = 0; dumps < maxDumps; dumps += 1) {
      const list = this.#dumpOnce(type, payload);
      if (list !== undefined) return list;
    }
    throw new MalformedMessage(`a list (type ${type}) that changed ${maxDumps} times while it was read`);
  }

  /** Returns undefined if the list has changed meanwhile. */
  #dumpOnce(type: number, payload: Buffer): readonly Buffer[] | undefined {
    const request = this.#send(type, RequestFlag.Request | RequestFlag.Dump, payload);
    const list: Buffer[] = [];
    let interrupted = false;
    for (;;) {
      for (const message of this.#receive()) {
        if ((message.flags & AnswerFlag.Interrupted) !== 0) interrupted = true;
        if (message.type === AnswerType.Error || message.type === AnswerType.Done) {
          checkAcknowledgement(message, request);
          return interrupted ? undefined : list;
        }
        // RTM_NEW… is two before RTM_GET….
        if (message.type !== type - 2) continue;
        if (list.length === maxListMessages)
          throw SyscallError.named(
            'recv',
            'ENOMEM',
            `a list (type ${type}) of more than ${maxListMessages} messages`,
          );
        list.push(Buffer.from(message.payload));
      }
    }
  }

  #send(type: number, flags: number, payload: Buffer): Buffer {
    this.#sequence = (this.#sequence + 1) >>> 0;
    const request = encodeMessage({ type, flags, sequence: this.#sequence, port: 0, payload });
    this.#syscalls.send(this.#socket.fd, request);
    return request;
  }

  /** Returns the messages of the next datagram that answer the last request; those of an earlier one may follow an error. */
  #receive(): readonly NetlinkMessage[] {
    const length = this.#receiveDatagram();
    if (length > this.#buffer.length)
      throw new MalformedMessage(`a datagram of ${length} bytes, of which ${this.#buffer.length} were read`);
    return decodeMessages(this.#buffer.subarray(0, length)).filter(
      ({ sequence, port }) => sequence === this.#sequence && port === this.#port,
    );
  }

  #receiveDatagram(): number {
    try {
      return this.#syscalls.receive(this.#socket.fd, this.#buffer);
    } catch (error) {
      if (!hasCode(error, 'EAGAIN')) throw error;
      throw new MalformedMessage('a request without an answer');
    }
  }
}
