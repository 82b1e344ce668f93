import type { VerifiedLayer } from '@kata-agent/catalogue/requested-root';
import type { ImageProgram } from '@kata-agent/catalogue';
import type { PrivilegeAccess } from './privileged/privilege.js';

/** The known properties of the peer of a connection. */
export interface RulePeer {
  readonly kind: 'unix' | 'vsock' | 'tls';
  /** On vsock. */
  readonly cid?: number;
  /** On a unix socket. */
  readonly uid?: number;
  /** Of a client's certificate. */
  readonly subject?: string;
  readonly sans?: readonly string[];
  /** SHA-256 of the certificate: `sha256:HEX`. */
  readonly fingerprint?: string;
  /** The operator for whom a server that is trusted makes the call, as that server says. */
  readonly claimedOperator?: string;
}

/** A container that a call names. Claims of the host are separate, in `claimed` (S27). */
export interface RuleContainer {
  readonly id: string;
  /** `none`: no container has that id (yet). */
  readonly state: 'none' | 'created' | 'running' | 'paused' | 'stopped';
  readonly claimed: {
    /** From the runtime's annotation; empty when there is none. */
    readonly image: string;
    readonly annotations: Readonly<Record<string, string>>;
  };
}

/** A container that exists or existed in the sandbox, for rules about the order of containers (S35). */
export interface RuleMember {
  /** Its name in the pod, as claimed by the host; empty for the pause container. */
  readonly name: string;
  readonly state: 'created' | 'running' | 'paused' | 'stopped' | 'removed';
  /** The exit code of its first process, once that has ended. */
  readonly exitCode?: number;
  /** Its mounts from Kata's directory; of a removed container those that the pod keeps (S38). Absent: none. */
  readonly mounts?: readonly RuleMemberMount[];
}

/** A mount of a container, as its request had it. */
export interface RuleMemberMount {
  readonly destination: string;
  readonly source: string;
}

/** Where the root of a container that is being created comes from. */
export interface RuleImage {
  /**
   * `host`: the request. `pause_bundle`: the guest image. `pulled`: the guest pulled it. `verified_layers`: disks of the host
   * under dm-verity.
   */
  readonly from: 'host' | 'pause_bundle' | 'pulled' | 'verified_layers';
  /** As the request names it. */
  readonly reference?: string;
  /** Of what the reference names; absent if the puller did not verify it. */
  readonly digest?: string | undefined;
  readonly manifestDigest?: string | undefined;
  readonly config?: RuleImageConfig | undefined;
  /** Of verified layers, the base first. */
  readonly layers?: readonly VerifiedLayer[] | undefined;
  /** What its root has of the program of the request; absent if the program or its interpreter is not there. */
  readonly program?: ImageProgram | undefined;
}

/** What an image declares of its process. */
export interface RuleImageConfig {
  readonly entrypoint: readonly string[];
  readonly cmd: readonly string[];
  readonly env: readonly string[];
  readonly user: string;
  readonly workingDir: string;
  readonly volumes: readonly string[];
  readonly stopSignal: string;
}

/** The values for rules besides the request. */
export interface RuleContext {
  /** The listener's name. */
  readonly listener: string;
  readonly peer: RulePeer;
  /** Absent when the method names no container. */
  readonly container?: RuleContainer;
  readonly sandbox: {
    readonly id: string;
    readonly containers: readonly string[];
    /** Absent when there are and were no containers. */
    readonly members?: readonly RuleMember[];
  };
  /** Of a container whose root is there; absent before: rules that need it are evaluated once the guest has it. */
  readonly image?: RuleImage;
  /** Whether the guest refuses each root but verified layers, `[image] layers = "verified"`; absent: no. */
  readonly verifiedLayers?: boolean;
  /** What the configuration opens, for `privileged`; absent for nothing. */
  readonly access?: PrivilegeAccess;
}
