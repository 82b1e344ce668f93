import type { PrivilegeAccess } from './privileged/privilege-access.js';

/** The other end of a connection, as far as it is known. */
export interface PeerFacts {
  readonly kind: 'unix' | 'vsock' | 'tls';
  /** On vsock. */
  readonly cid?: number;
  /** On a unix socket. */
  readonly uid?: number;
  /** Of a client's certificate. */
  readonly subject?: string;
  readonly sans?: readonly string[];
}

/** A container that a call names. What the host says of it is kept apart as `claimed` (S27). */
export interface ContainerFacts {
  readonly id: string;
  /** `none`: there is no container of that id (yet). */
  readonly state: 'none' | 'created' | 'running' | 'paused' | 'stopped';
  readonly claimed: {
    /** From the runtime's annotation; empty when there is none. */
    readonly image: string;
    readonly annotations: Readonly<Record<string, string>>;
  };
}

/** A container that there is or was in the sandbox, for rules about the order of containers (S35). */
export interface MemberFacts {
  /** Its name in the pod, as the host claims it; empty: the pause container. */
  readonly name: string;
  readonly state: 'created' | 'running' | 'paused' | 'stopped' | 'removed';
  /** Of its first process, once that has ended. */
  readonly exitCode?: number;
}

/** What a rule sees beside the request. */
export interface RuleContext {
  /** The listener's name. */
  readonly listener: string;
  readonly peer: PeerFacts;
  /** Absent: the method names no container. */
  readonly container?: ContainerFacts;
  readonly sandbox: {
    readonly id: string;
    readonly containers: readonly string[];
    /** Absent: there is none, and was none. */
    readonly members?: readonly MemberFacts[];
  };
  /** What the configuration opens, for `privileged`; absent: nothing. */
  readonly access?: PrivilegeAccess;
}
