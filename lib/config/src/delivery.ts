import type { Diagnostic } from './diagnostics/diagnostic.js';

/** The source has no document. */
export const nothing: DeliveryRead = { ok: true, documents: [] };

/** How further documents are delivered (R8). Set in a base document only. */
export interface DeliverySettings {
  /** The accepted sources, in the order in which they are read and merged. */
  readonly accept: readonly DeliveryName[];
  /** `host_data`, `none`, or `sha256:` and 64 hex digits: the digest of the document. */
  readonly bind: string;
  readonly required: boolean;
  readonly dropInDir: string;
  /** What happens to initdata that cannot be applied: the agent does not start, or it is recorded and ignored. */
  readonly unusedInitdata: 'refuse' | 'record';
  /** Keys of listeners that the base document leaves to a bound document: `listener.tenant.peers`. */
  readonly maySet: readonly string[];
}

export type DeliveryName = 'initdata' | 'fw_cfg' | 'kernel_line' | 'drop_ins';

/** A document that is part of the configuration. */
export interface LoadedDocument {
  readonly file: string;
  /** How it was chosen: `built in`, `-c`, `default path`, `agent.config_file`, or the name of a delivery source. */
  readonly source: string;
  /** SHA-256 of the parsed bytes, or of the envelope as delivered; lower-case hex. */
  readonly sha256: string;
  /** How a delivered document was bound: `HOSTDATA`, `MRCONFIGID`, `pin`, `none`, `own root` (drop-ins). */
  readonly binding?: string;
}

/** What became of a file of an initdata envelope. */
export interface InitdataFile {
  /** Its key in `[data]`; of an unknown file at most 128 characters. */
  readonly name: string;
  /** `applied`: part of the configuration. `kept`: written for the guest components. */
  readonly outcome: 'applied' | 'kept' | 'ignored';
  /** Why it was ignored. */
  readonly reason?: string;
}

/** The initdata of this guest, and what became of each of its files. */
export interface LoadedInitdata {
  /** `initdata (/dev/vdb)` */
  readonly file: string;
  /** SHA-256 of the envelope as delivered, in lower-case hex. */
  readonly sha256: string;
  /** As in `LoadedDocument`; absent when the base document does not accept initdata. */
  readonly binding?: string;
  /** In the order of the envelope. */
  readonly files: readonly InitdataFile[];
  /** The number of unknown files beyond those that are listed. */
  readonly unlisted?: number;
}

/** The bytes of a document, or why it is rejected. `missing`: the path does not exist. */
export type DocumentRead =
  | { readonly ok: true; readonly bytes: Uint8Array }
  | {
      readonly ok: false;
      readonly missing: boolean;
      readonly code: Diagnostic['code'];
      readonly message: string;
      readonly help: string;
    };

/** Opens, checks and reads a document once (S6). */
export interface DocumentReader {
  read(path: string): DocumentRead;
}

/** A document from a delivery source. */
export interface DeliveredDocument {
  /** Where it was found, for messages: `/etc/kata-agent/conf.d/10-narrow.toml`. */
  readonly file: string;
  readonly bytes: Uint8Array;
  /** The bytes that are hashed and bound: the initdata envelope; for other sources the same as `bytes`. */
  readonly envelope: Uint8Array;
  /**
   * The digest that binds the envelope to HOSTDATA or MRCONFIGID: the algorithm named in the envelope, otherwise
   * sha-256.
   */
  readonly algorithm: 'sha-256' | 'sha-384' | 'sha-512';
}

/** An initdata envelope from a block device (Confidential Containers, kbs/docs/initdata.md). */
export interface InitdataEnvelope extends Pick<DeliveredDocument, 'envelope' | 'algorithm'> {
  /** `initdata (/dev/vdb)` */
  readonly file: string;
  /** The texts in `[data]`, by their keys. */
  readonly files: ReadonlyMap<string, string>;
}

/** The result of reading a delivery source; empty when it has nothing. */
export type DeliveryRead =
  | {
      readonly ok: true;
      readonly documents: readonly DeliveredDocument[];
      /** What the source `initdata` brings in place of documents: they are in the envelope. */
      readonly initdata?: InitdataEnvelope;
    }
  | { readonly ok: false; readonly diagnostics: readonly Diagnostic[] };

/** A source of further documents: the extension point of R8. Read once, before any listener opens. */
export interface DeliverySource {
  readonly name: DeliveryName;
  collect(settings: DeliverySettings): DeliveryRead | Promise<DeliveryRead>;
}

/** Data that the host fixed at launch and the hardware attests. */
export type HostData =
  | { readonly ok: true; readonly kind: 'HOSTDATA' | 'MRCONFIGID'; readonly bytes: Uint8Array }
  | { readonly ok: false; readonly message: string; readonly help: string };

/** The source's document cannot be used. */
export function undelivered(code: Diagnostic['code'], message: string, help: string): DeliveryRead {
  return { ok: false, diagnostics: [{ severity: 'error', code, message, help }] };
}

export function reasonOf(error: unknown): string {
  return error instanceof Error ? error.message : String(error);
}

/** Reports whether an error means that the file or device does not exist. */
export function isAbsent(error: unknown): boolean {
  const code = error instanceof Error && 'code' in error ? error.code : undefined;
  return code === 'ENOENT' || code === 'ENOTDIR' || code === 'ENXIO';
}

// The files of initdata that this agent knows (Confidential Containers, kbs/docs/initdata.md).

/** The agent's document in `[data]`. */
export const initdataKey: string = 'kata-agent.toml';

/**
 * The annotation of a pod that has its initdata: base64 of gzip of the envelope. Source, of Kata 4.1: `addHypervisorInitdataOverrides`
 * in src/runtime/pkg/oci/utils.go; `KATA_ANNO_CFG_HYPERVISOR_INIT_DATA` in src/libs/kata-types/src/annotations.
 */
export const initdataAnnotation: string = 'io.katacontainers.config.hypervisor.cc_init_data';

/** The policy of Kata's agent in `[data]`. */
export const initdataPolicyKey: string = 'policy.rego';

/** The files of the guest components in `[data]`, of the attestation agent and the confidential data hub. */
export const initdataComponentKeys: readonly string[] = ['aa.toml', 'cdh.toml'];
