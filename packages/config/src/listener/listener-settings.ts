import type { ListenerSettings } from '../configuration.js';
import type { ParsedDocument } from '../document/parsed-document.js';
import { implicitListener } from './implicit-listener.js';
import { defaultPeers } from './read-listeners.js';

/** Returns the listeners that the agent opens: those of the base document, otherwise one at `server_addr`. */
export function listenerSettings(
  base: ParsedDocument | undefined,
  serverAddr: string,
): readonly ListenerSettings[] {
  const written = (base?.listeners ?? []).flatMap(({ name, address, peers }) =>
    address === undefined ? [] : [{ name, address, peers }],
  );
  return written.length > 0
    ? written
    : [{ name: implicitListener, address: serverAddr, peers: defaultPeers }];
}
