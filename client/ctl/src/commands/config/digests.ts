import { createHash } from 'node:crypto';
import { gzipSync } from 'node:zlib';
import {
  configurationDigest,
  foretoldRegister,
  fwCfgMaxBytes,
  fwCfgName,
  hostDataDigest,
  initdataAnnotation,
  type InitdataAlgorithm,
  type NamedFile,
  kernelDocumentWord,
  kernelCommandLineLimits,
  measuredDigest,
  measuredEvent,
  type RegisterAlgorithm,
} from '@kata-agent/config';

/** The input of the digests. */
export interface DigestInputs {
  readonly document: Uint8Array;
  /** The documents before it, base document first. Empty: it is the base document. */
  readonly before: readonly Uint8Array[];
  /** The files that the base document names, sorted by key. */
  readonly files: readonly NamedFile[];
  readonly envelope: Uint8Array;
  readonly algorithm: InitdataAlgorithm;
  readonly pcr: number;
}

type Digests = Readonly<Record<RegisterAlgorithm, string>>;

/** Values for a verifier, for one delivery source. All digests are lower-case hex. */
export interface ConfigurationValues {
  readonly digest: string;
  readonly documents: readonly string[];
  /** `KEY=SHA256` of each file that the base document names. */
  readonly files?: readonly string[];
  /** The digest that extends the register. */
  readonly measured: Digests;
  /** The register's value, if it started at zero and nothing else extended it. */
  readonly pcr: { readonly index: number } & Digests;
  readonly rtmr3: { readonly sha384: string };
}

/** Reference values, as JSON for a verifier. */
export interface ReferenceValues {
  readonly document: Digests;
  readonly initdata: {
    readonly algorithm: InitdataAlgorithm;
    readonly sha256: string;
    readonly hostdata: string;
    readonly mrconfigid: string;
  };
  readonly configuration: {
    /** The document as a file, as a drop-in, by fw_cfg or on the kernel command line. */
    readonly asIs: ConfigurationValues;
    readonly asInitdata: ConfigurationValues;
  };
}

/** Text to copy into a pod, a launcher or a document. */
export interface ReadyLines {
  readonly pin: string;
  readonly initdataPin: string;
  readonly kernelCommandLine: string;
  /** Why the kernel command line cannot be used; absent if it can. */
  readonly kernelCommandLineTooLong?: string;
  /** The QEMU option, or why fw_cfg cannot be used. */
  readonly fwCfg: string;
  readonly snp: string;
  readonly tdx: string;
  readonly annotation: string;
}

const registerAlgorithms: readonly RegisterAlgorithm[] = ['sha256', 'sha384', 'sha512'];

export function referenceValues(inputs: DigestInputs): ReferenceValues {
  const { document, envelope, algorithm } = inputs;
  const delivered = { envelope, algorithm };
  return {
    document: digestsBy((name) => createHash(name).update(document).digest('hex')),
    initdata: {
      algorithm,
      sha256: sha256(envelope),
      hostdata: Buffer.from(hostDataDigest(delivered, 'HOSTDATA')).toString('hex'),
      mrconfigid: Buffer.from(hostDataDigest(delivered, 'MRCONFIGID')).toString('hex'),
    },
    configuration: {
      asIs: configurationValues(inputs, sha256(document)),
      asInitdata: configurationValues(inputs, sha256(envelope)),
    },
  };
}

function configurationValues({ before, files, pcr }: DigestInputs, last: string): ConfigurationValues {
  const documents = [...before.map(sha256), last].map((digest) => ({ sha256: digest }));
  const digest = configurationDigest(documents, files);
  const event = measuredEvent({ digest, documents, files });
  return {
    digest,
    documents: documents.map(({ sha256 }) => sha256),
    ...(files.length === 0 ? {} : { files: files.map(({ key, sha256 }) => `${key}=${sha256}`) }),
    measured: digestsBy((name) => measuredDigest(event, name)),
    pcr: { index: pcr, ...digestsBy((name) => foretoldRegister(event, name)) },
    rtmr3: { sha384: foretoldRegister(event, 'sha384') },
  };
}

/** Returns the text to copy. `file` is the document's path for the launcher. */
export function readyLines(inputs: DigestInputs, values: ReferenceValues, file: string): ReadyLines {
  const { document, envelope } = inputs;
  const pin = `sha256:${values.document.sha256}`;
  const packed = gzipSync(document, { level: 9 });
  const shorter = packed.length < document.length ? packed : Buffer.from(document);
  const kernelCommandLine = `${kernelDocumentWord}=${shorter.toString('base64')} agent.config_digest=${pin}`;
  const [limit = 0] = kernelCommandLineLimits;
  return {
    pin: `bind = "${pin}"`,
    initdataPin: `bind = "sha256:${values.initdata.sha256}"`,
    kernelCommandLine,
    ...(kernelCommandLine.length < limit
      ? {}
      : {
          kernelCommandLineTooLong: `it has ${kernelCommandLine.length} bytes; the kernel command line is limited to ${limit}`,
        }),
    fwCfg:
      document.length <= fwCfgMaxBytes
        ? `-fw_cfg name=${fwCfgName},file=${file}`
        : `fw_cfg cannot be used: the document has ${document.length} bytes, the maximum is ${fwCfgMaxBytes}`,
    snp: `-object sev-snp-guest,id=sev0,host-data=${base64OfHex(values.initdata.hostdata)}`,
    tdx: `-object tdx-guest,id=tdx0,mrconfigid=${base64OfHex(values.initdata.mrconfigid)}`,
    annotation: `${initdataAnnotation}: ${gzipSync(envelope, { level: 9 }).toString('base64')}`,
  };
}

function digestsBy(digest: (name: RegisterAlgorithm) => string): Digests {
  const [sha256, sha384, sha512] = registerAlgorithms.map(digest);
  return { sha256: sha256 ?? '', sha384: sha384 ?? '', sha512: sha512 ?? '' };
}

function sha256(bytes: Uint8Array): string {
  return createHash('sha256').update(bytes).digest('hex');
}

function base64OfHex(hex: string): string {
  return Buffer.from(hex, 'hex').toString('base64');
}
