import { defaultRelay, type Relay } from './relay.js';

/** How callers reach a listener: at an address without TLS, at `tls://`, or through the server of `https://` by the relay. */
export type ListenerPlace = 'local' | 'tls' | Relay;

/** The address of a listener whose address a delivered document sets in the guest: it can set only one to dial. */
export const dialledAddress: string = 'https://';

/** Returns how callers reach a listener. */
export function listenerPlace(address: string, relay: Relay = defaultRelay): ListenerPlace {
  if (address.startsWith('tls:')) return 'tls';
  return address.startsWith('https:') ? relay : 'local';
}
