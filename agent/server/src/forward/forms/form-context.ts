import type { PrivilegeAccess } from '@kata-agent/gate';
import type { ForwardedSandbox } from './forwarded-sandbox.js';

/** Character devices of the guest, which the inner agent has too. */
export interface GuestNodes {
  /** Returns the number of a character device below /dev, `10:229`; undefined: there is none at that path. */
  numberOf(path: string): string | undefined;
  /** Returns the kernel's name of the character device with a number; undefined: there is none. */
  nameOf(number: string): string | undefined;
}

/** What a request is read with. */
export interface FormContext {
  readonly sandbox: ForwardedSandbox;
  /** What the configuration opens of the guest. */
  readonly access: PrivilegeAccess;
  /** Whether privileged containers are refused. */
  readonly isRefusing: boolean;
  readonly nodes: GuestNodes;
}
