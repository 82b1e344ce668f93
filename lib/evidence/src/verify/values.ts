import type { JsonFields } from '@kata-agent/base';
import { type EvidenceKind, evidenceKinds, parseRegisters } from '../bundle.js';
import {
  type ChainCertificate,
  mayIssue,
  parseChainCertificate,
  parsePemChain,
} from '../chain/chain-certificate.js';
import { EvidenceFormError } from '../evidence-error.js';
import { formOf, parseJson } from '../form.js';
import { parseSnpValues, type SnpValues } from '../snp/values.js';
import { parseTdxValues, type TdxValues } from '../tdx/values.js';

/** What a verifier accepts: values.json (docs/evidence.md, "Reference values"). */
export interface ReferenceValues {
  /** Kinds of evidence, of which one is enough. Others are ignored. */
  readonly accept: readonly EvidenceKind[];
  /** Kinds that must be there, all. */
  readonly require: readonly EvidenceKind[];
  /** Digests of accepted configurations, in hex. Empty: the caller must name one. */
  readonly configurations: readonly string[];
  /** The register of the TPM that the configuration names for its measurement. */
  readonly register: number;
  /** Names of links that need not be checked. */
  readonly waive: readonly string[];
  readonly tpm: readonly TpmTuple[];
  readonly tpmRoots: TpmRoots;
  readonly snp: readonly SnpValues[];
  readonly tdx: readonly TdxValues[];
}

/** Values of a TPM that belong together. */
export interface TpmTuple {
  /** The name of the attestation key, in hex. Absent: any. */
  readonly ak?: string;
  readonly bank: string;
  /** Values in hex by number. */
  readonly registers: ReadonlyMap<number, string>;
}

/** What makes the key of a TPM one that can be believed, beside the keys that tuples name. */
export interface TpmRoots {
  /** Authorities whose certificates of attestation keys are believed. */
  readonly certificates: readonly ChainCertificate[];
  /** Whether a key is believed that a verified report of SNP or TDX binds. */
  readonly reports: boolean;
}

/** The default of `[measurement] pcr`. */
const defaultRegister = 13;

/** Parses values.json. Throws an EvidenceFormError. */
export function parseReferenceValues(bytes: Uint8Array): ReferenceValues {
  const form = formOf(parseJson(bytes, 'the values file'), 'the values file');
  form.integer('v', 1, 1);
  const kinds = (key: string): readonly EvidenceKind[] =>
    texts(form, key).map((text) => {
      const kind = evidenceKinds.find((one) => one === text);
      if (kind === undefined) throw form.wrong(key, `a list of ${evidenceKinds.join(', ')}`);
      return kind;
    });
  const optional = <T>(key: string, read: (key: string) => readonly T[]): readonly T[] =>
    form.has(key) ? read(key) : [];
  const values: ReferenceValues = {
    accept: kinds('accept'),
    require: optional('require', kinds),
    configurations: optional('configurations', (key) =>
      texts(form, key).map((text) => {
        const digest = /^(?:sha256:)?([0-9a-f]{64})$/.exec(text)?.[1];
        if (digest === undefined) throw form.wrong(key, 'a list of digests as config digest prints them');
        return digest;
      }),
    ),
    register: form.has('register') ? form.integer('register', 0, 15) : defaultRegister,
    waive: optional('waive', (key) => texts(form, key)),
    tpm: optional('tpm', (key) => form.array(key).map(parseTpmTuple)),
    tpmRoots: form.has('tpm_roots')
      ? parseTpmRoots(form.get('tpm_roots'))
      : { certificates: [], reports: false },
    snp: optional('snp', (key) => parseSnpValues(form.get(key))),
    tdx: optional('tdx', (key) => parseTdxValues(form.get(key))),
  };
  form.end();
  const foreign = values.require.find((kind) => !values.accept.includes(kind));
  if (foreign !== undefined)
    throw new EvidenceFormError(`the values file, require: ${foreign} is not in accept`);
  if (values.accept.length === 0) throw form.wrong('accept', 'a list of at least one kind');
  return values;
}

function parseTpmRoots(value: unknown): TpmRoots {
  const name = 'the values file, tpm_roots';
  const form = formOf(value, name);
  const certificates = form.has('certificates')
    ? parsePemChain(Buffer.from(form.string('certificates')), `${name}, certificates`).map((bytes) => {
        const certificate = parseChainCertificate(bytes);
        if (!mayIssue(certificate, 'certificates'))
          throw form.wrong('certificates', `CAs: ${certificate.commonName} may not issue certificates`);
        return certificate;
      })
    : [];
  const reports = form.has('reports') && form.flag('reports');
  form.end();
  return { certificates, reports };
}

function parseTpmTuple(value: unknown): TpmTuple {
  const form = formOf(value, 'the values file, tpm');
  const ak = form.has('ak') ? form.hex('ak', 34) : undefined;
  const bank = form.oneOf('bank', ['sha256', 'sha384', 'sha512']);
  const registers = parseRegisters(form, 'registers');
  form.end();
  const resettable = [...registers.keys()].find((register) => register >= 16);
  if (resettable !== undefined)
    throw new EvidenceFormError(
      `the values file, tpm: register ${resettable} can be reset by root in the guest, and proves nothing`,
    );
  return { ...(ak === undefined ? {} : { ak }), bank, registers };
}

function texts(form: JsonFields, key: string): readonly string[] {
  return form.array(key).map((one) => {
    if (typeof one !== 'string') throw form.wrong(key, 'a list of text');
    return one;
  });
}
