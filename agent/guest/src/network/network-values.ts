/** An address of an interface. */
export interface InterfaceAddress {
  readonly address: string;
  /** Bits. */
  readonly prefix: number;
}

/** The requested or current state of an interface. */
export interface Interface {
  readonly name: string;
  /** Lower case, colons. */
  readonly hwAddr: string;
  /** 0: left as it is. */
  readonly mtu: number;
  readonly addresses: readonly InterfaceAddress[];
  /** `01/02`: PCI path of a device to wait for; empty: it is present. */
  readonly devicePath: string;
  /** IFF_ flags; only IFF_NOARP is used. */
  readonly rawFlags: number;
}

export type Family = 'v4' | 'v6';

/** A route of the main table. */
export interface Route {
  readonly family: Family;
  /** `10.0.0.0/24`; empty: the default route. */
  readonly dest: string;
  /** Empty: directly on the link. */
  readonly gateway: string;
  readonly device: string;
  /** The preferred source address; empty: the kernel's choice. */
  readonly source: string;
  /** RT_SCOPE_: 0 global, 253 link. */
  readonly scope: number;
  /** RTNH_F_: only ONLINK (4) is used. */
  readonly flags: number;
  /** 0: that of the interface. */
  readonly mtu: number;
}

/** A static neighbour entry. */
export interface Neighbour {
  readonly address: string;
  readonly device: string;
  /** Empty: the entry has none. */
  readonly hwAddr: string;
  /** NUD_; 0: permanent. */
  readonly state: number;
  /** NTF_. */
  readonly flags: number;
}
