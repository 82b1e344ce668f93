import type { Buffer } from 'node:buffer';
import { hasCode } from '../syscalls/syscall-error.js';
import type { Syscalls } from '../syscalls/syscalls.js';
import { type AddressMessage, decodeAddress, encodeAddress } from './address-message.js';
import { AddressFamily } from './ip-address.js';
import {
  decodeLink,
  encodeLinkChange,
  encodeLinkRequest,
  type LinkChange,
  type LinkMessage,
} from './link-message.js';
import {
  decodeNeighbour,
  encodeNeighbour,
  encodeNeighbourRequest,
  type NeighbourMessage,
} from './neighbour-message.js';
import { RequestFlag } from './netlink-message.js';
import { NetlinkSocket } from './netlink-socket.js';
import { decodeRoute, encodeRoute, encodeRouteRequest, type RouteMessage } from './route-message.js';

/** RTM_. */
const MessageType = {
  NewLink: 16,
  GetLink: 18,
  NewAddress: 20,
  DeleteAddress: 21,
  GetAddress: 22,
  NewRoute: 24,
  DeleteRoute: 25,
  GetRoute: 26,
  NewNeighbour: 28,
  DeleteNeighbour: 29,
  GetNeighbour: 30,
} as const;

const replace = RequestFlag.Create | RequestFlag.Replace;

/**
 * Reads and changes links, addresses, routes and neighbours of a network namespace, which is that of the thread that creates this.
 * Changes throw a NetlinkError if the kernel refuses them. May wait for the host (`NetlinkSocket`).
 */
export class Rtnetlink {
  readonly #socket: NetlinkSocket;

  constructor(syscalls: Syscalls) {
    this.#socket = new NetlinkSocket(syscalls);
  }

  close(): void {
    this.#socket.close();
  }

  links(): readonly LinkMessage[] {
    return this.#socket.dump(MessageType.GetLink, encodeLinkRequest()).map(decodeLink);
  }

  setLink(change: LinkChange): void {
    this.#socket.change(MessageType.NewLink, 0, encodeLinkChange(change));
  }

  /** Returns the IP addresses of all links. */
  addresses(): readonly AddressMessage[] {
    const all = { family: 0, prefix: 0, flags: 0, scope: 0, index: 0, attributes: [] };
    const addresses = this.#socket.dump(MessageType.GetAddress, encodeAddress(all)).map(decodeAddress);
    // MCTP and Phonet have addresses, too.
    return addresses.filter(({ family }) => family === AddressFamily.Inet || family === AddressFamily.Inet6);
  }

  /** EEXIST if the link has it. */
  addAddress(address: AddressMessage): void {
    this.#socket.change(MessageType.NewAddress, RequestFlag.Create, encodeAddress(address));
  }

  replaceAddress(address: AddressMessage): void {
    this.#socket.change(MessageType.NewAddress, replace, encodeAddress(address));
  }

  deleteAddress(address: AddressMessage): void {
    this.#socket.change(MessageType.DeleteAddress, 0, encodeAddress(address));
  }

  /** Returns the routes of a family; `table` 0: of all tables. */
  routes(family: number, table = 0): readonly RouteMessage[] {
    const routes = this.#dumpIfThere(MessageType.GetRoute, encodeRouteRequest(family, table));
    // A kernel without IPv6 answers with the routes of all other families.
    return routes.map(decodeRoute).filter((route) => route.family === family);
  }

  replaceRoute(route: RouteMessage): void {
    this.#socket.change(MessageType.NewRoute, replace, encodeRoute(route));
  }

  /** ESRCH if it is not there. */
  deleteRoute(route: RouteMessage): void {
    this.#socket.change(MessageType.DeleteRoute, 0, encodeRoute(route));
  }

  neighbours(): readonly NeighbourMessage[] {
    return this.#neighbours('neighbours');
  }

  /** Returns the entries by which this machine answers for addresses of others. */
  proxies(): readonly NeighbourMessage[] {
    return this.#neighbours('proxies');
  }

  replaceNeighbour(neighbour: NeighbourMessage): void {
    this.#socket.change(MessageType.NewNeighbour, replace, encodeNeighbour(neighbour));
  }

  /** ENOENT if it is not there. */
  deleteNeighbour(neighbour: NeighbourMessage): void {
    this.#socket.change(MessageType.DeleteNeighbour, 0, encodeNeighbour(neighbour));
  }

  #neighbours(which: 'neighbours' | 'proxies'): readonly NeighbourMessage[] {
    return this.#socket.dump(MessageType.GetNeighbour, encodeNeighbourRequest(which)).map(decodeNeighbour);
  }

  /** A table exists once it has had a route. */
  #dumpIfThere(type: number, payload: Buffer): readonly Buffer[] {
    try {
      return this.#socket.dump(type, payload);
    } catch (error) {
      if (hasCode(error, 'ENOENT')) return [];
      throw error;
    }
  }
}
