import type { Buffer } from 'node:buffer';
import { bytes, type CLibrary, controlDescriptors, controlHeader, uint32 } from './koffi.js';
import { Open } from './constants.js';
import { SyscallError } from './syscall-error.js';

/** The peer's credentials on a unix socket, from the kernel. */
export interface PeerCredentials {
  readonly pid: number;
  readonly uid: number;
  readonly gid: number;
}

/** Calls on sockets. */
export interface SocketCalls {
  socket(domain: number, type: number, protocol: number): number;
  socketpair(domain: number, type: number, protocol: number): readonly [number, number];
  /** connect(2). Address: the bytes of a sockaddr, without padding. */
  bind(fd: number, address: Uint8Array, label: string): void;
  connect(fd: number, address: Uint8Array, label: string): void;
  listen(fd: number, backlog: number): void;
  accept4(fd: number, flags: number): number;
  /** SO_ERROR: returns and clears the pending errno; 0: none. */
  socketError(fd: number): number;
  /** TCP_USER_TIMEOUT, in milliseconds. */
  setUserTimeout(fd: number, milliseconds: number): void;
  /** getpeername(2): returns the bytes of the peer's sockaddr. */
  peerAddress(fd: number): Uint8Array;
  /** SO_PEERCRED. */
  peerCredentials(fd: number): PeerCredentials;
  /**
   * recvmsg(2) without blocking: returns the descriptors that came by SCM_RIGHTS, close-on-exec. EAGAIN if no message
   * is there.
   */
  receiveDescriptors(fd: number): readonly number[];
  /** getsockname(2): returns the bytes of the socket's own sockaddr. */
  ownAddress(fd: number): Uint8Array;
  /** Switches an option of netlink(7) on. */
  setNetlinkOption(fd: number, option: number): void;
  /** send(2): sends a datagram to the socket's peer. */
  send(fd: number, datagram: Uint8Array): void;
  /**
   * recv(2) of a datagram, without blocking. Returns its whole length: if that is more than the buffer's, the rest is lost. EAGAIN
   * if none is there.
   */
  receive(fd: number, buffer: Buffer): number;
}

const SolSocket = 1;
const SoError = 4;
const ProtocolTcp = 6;
const TcpUserTimeout = 18;
const SoPeerCredentials = 17;
const SolNetlink = 270;
const MsgDontWait = 0x40;
const MsgTruncated = 0x20;
const MsgControlTruncated = 0x08;
const MsgCloseOnExec = 0x40000000;
/** Maximum number of descriptors in one received message. More are an error, and all are closed. */
const maxReceived = 8;

/** These calls of the C library. */
export function socketCalls(library: CLibrary): SocketCalls {
  const { check } = library;
  const socket = library.find('int socket(int domain, int type, int protocol)');
  const socketpair = library.find('int socketpair(int domain, int type, int protocol, void *fds)');
  const bind = library.find('int bind(int fd, const void *address, unsigned int length)');
  const connect = library.find('int connect(int fd, const void *address, unsigned int length)');
  const listen = library.find('int listen(int fd, int backlog)');
  const accept4 = library.find('int accept4(int fd, void *address, void *length, int flags)');
  const getsockopt = library.find('int getsockopt(int fd, int level, int name, void *value, void *length)');
  const setsockopt = library.find(
    'int setsockopt(int fd, int level, int name, const void *value, unsigned int length)',
  );
  const getpeername = library.find('int getpeername(int fd, void *address, void *length)');
  const getsockname = library.find('int getsockname(int fd, void *address, void *length)');
  const recvmsg = library.find('long recvmsg(int fd, void *message, int flags)');
  const send = library.find('long send(int fd, const void *data, size_t size, int flags)');
  const recv = library.find('long recv(int fd, void *data, size_t size, int flags)');
  const close = library.find('int close(int fd)');
  const option = (fd: number, name: number, size: number): Buffer => {
    const value = bytes(size);
    check('getsockopt', getsockopt(fd, SolSocket, name, value, uint32(size)), `option ${name}`);
    return value;
  };
  return {
    socket: (domain, type, protocol) => check('socket', socket(domain, type | Open.CloseOnExec, protocol)),
    socketpair(domain, type, protocol) {
      const fds = bytes(8);
      check('socketpair', socketpair(domain, type | Open.CloseOnExec, protocol, fds));
      return [fds.readInt32LE(0), fds.readInt32LE(4)];
    },
    bind: (fd, address, label) => void check('bind', bind(fd, address, address.length), label),
    connect: (fd, address, label) => void check('connect', connect(fd, address, address.length), label),
    listen: (fd, backlog) => void check('listen', listen(fd, backlog)),
    accept4: (fd, flags) => check('accept4', accept4(fd, null, null, flags | Open.CloseOnExec)),
    socketError: (fd) => option(fd, SoError, 4).readInt32LE(0),
    setUserTimeout(fd, milliseconds) {
      const set = setsockopt(fd, ProtocolTcp, TcpUserTimeout, uint32(milliseconds), 4);
      check('setsockopt', set, 'TCP_USER_TIMEOUT');
    },
    peerAddress(fd) {
      const value = bytes(128); // struct sockaddr_storage
      const length = uint32(value.length);
      check('getpeername', getpeername(fd, value, length));
      return value.subarray(0, length.readUInt32LE(0));
    },
    ownAddress(fd) {
      const value = bytes(128);
      const length = uint32(value.length);
      check('getsockname', getsockname(fd, value, length));
      return value.subarray(0, length.readUInt32LE(0));
    },
    setNetlinkOption(fd, option) {
      check('setsockopt', setsockopt(fd, SolNetlink, option, uint32(1), 4), `netlink option ${option}`);
    },
    send: (fd, datagram) => void check('send', send(fd, datagram, datagram.length, 0)),
    receive: (fd, buffer) => check('recv', recv(fd, buffer, buffer.length, MsgDontWait | MsgTruncated)),
    peerCredentials(fd) {
      const value = option(fd, SoPeerCredentials, 12); // struct ucred
      return { pid: value.readInt32LE(0), uid: value.readUInt32LE(4), gid: value.readUInt32LE(8) };
    },
    receiveDescriptors(fd) {
      // The sender must send at least one byte of data along; runc sends the terminal's name.
      const data = bytes(4096);
      const vector = bytes(16); // struct iovec
      vector.writeBigUInt64LE(library.address(data), 0);
      vector.writeBigUInt64LE(BigInt(data.length), 8);
      const control = bytes(controlHeader + maxReceived * 4);
      const message = bytes(56); // struct msghdr on 64 bits: name, namelen, iov, iovlen, control, controllen, flags
      message.writeBigUInt64LE(library.address(vector), 16);
      message.writeBigUInt64LE(1n, 24);
      message.writeBigUInt64LE(library.address(control), 32);
      message.writeBigUInt64LE(BigInt(control.length), 40);
      check('recvmsg', recvmsg(fd, message, MsgDontWait | MsgCloseOnExec));
      const received = controlDescriptors(control.subarray(0, Number(message.readBigUInt64LE(40))));
      if ((message.readInt32LE(48) & MsgControlTruncated) !== 0) {
        for (const each of received) check('close', close(each), `descriptor ${each}`);
        throw SyscallError.named('recvmsg', 'EMSGSIZE', `more than ${maxReceived} descriptors`);
      }
      return received;
    },
  };
}
