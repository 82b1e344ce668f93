import type { Channel } from '@kata-agent/ttrpc';
import type { CollectedLog } from './store/log-storage.js';

/** How operators reach a guest (docs/adr/realm.md). */
export type Relay = 'operator-tls' | 'trusted';

/** A guest that an entry of the authorization file has accepted, and that is connected. */
interface ConnectedGuest {
  /** SHA-256 of its key's SPKI; 64 hex digits. */
  readonly id: string;
  /** By the realm's operator; unique among live guests. */
  readonly name: string;
  readonly relay: Relay;
  /** Whether evidence supports the fields below; otherwise they are unverified. */
  readonly attested: boolean;
  /** From Describe; undefined if its listener does not serve that. */
  readonly described: GuestDescription | undefined;
  /** Milliseconds of the epoch. */
  readonly connectedAt: number;
}

/** A guest that is connected to this process. */
export interface Guest extends ConnectedGuest {
  /** The guest's control connection. */
  readonly channel: Channel;
  readonly holder?: undefined;
}

/** A guest that is connected to another replica of the realm. */
export interface RemoteGuest extends ConnectedGuest {
  /** The `[[guest]]` entry that accepted it there. */
  readonly entry: string;
  readonly log: CollectedLog;
  readonly holder: {
    readonly replica: string;
    /** Grows with each holder of the guest. */
    readonly epoch: number;
  };
}

export type AnyGuest = Guest | RemoteGuest;

export interface GuestDescription {
  readonly version: string;
  readonly bootId: string;
  /** `sha256:HEX`. */
  readonly configurationDigest: string;
}

/** The live guests, of all replicas. */
export interface Guests {
  list(): readonly AnyGuest[];
  /** Finds a guest by its name, or by its ID or the first 12 or more digits of that. */
  find(name: string): AnyGuest | undefined;
}
