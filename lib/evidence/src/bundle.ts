import type { JsonFields } from '@kata-agent/base';
import { celRecords, type LoggedEvent, parseCelRecords, parseTcgLog } from './events/event-log.js';
import { EvidenceFormError } from './evidence-error.js';
import { formOf, parseJson } from './form.js';

/** What a TPM answers. */
export interface TpmBundle {
  readonly kind: 'tpm';
  /** TPMS_ATTEST. */
  readonly attest: Uint8Array;
  /** TPMT_SIGNATURE. */
  readonly signature: Uint8Array;
  /** TPMT_PUBLIC of the attestation key. */
  readonly publicArea: Uint8Array;
  readonly bank: string;
  /** The quoted registers, in hex. */
  readonly values: ReadonlyMap<number, string>;
  /** Of the attestation key and the authorities above it, in DER, which prove nothing by themselves. */
  readonly certificates: readonly Uint8Array[];
}

/** An SNP report, with what the host gave beside it: certificates, which prove nothing by themselves. */
export interface SnpBundle {
  readonly kind: 'snp';
  readonly report: Uint8Array;
  readonly certificates: Uint8Array;
}

/** A TDX quote. */
export interface TdxBundle {
  readonly kind: 'tdx';
  readonly quote: Uint8Array;
}

export type KindBundle = TpmBundle | SnpBundle | TdxBundle;
export type EvidenceKind = KindBundle['kind'];
export const evidenceKinds: readonly EvidenceKind[] = ['snp', 'tdx', 'tpm'];

/** A document of the configuration, for people: the claims have the digests that count. */
interface BundleDocument {
  readonly file: string;
  readonly source: string;
  readonly sha256: string;
}

/** What `Attest` returns: claims, and evidence that binds them (docs/evidence.md, "The bundle"). */
export interface Bundle {
  /** Canonical JSON. */
  readonly claims: Uint8Array;
  readonly evidence: readonly KindBundle[];
  /** A checkpoint of the audit log, of the size and root in the claims. */
  readonly checkpoint: string;
  readonly documents: readonly BundleDocument[];
  readonly eventLogs: {
    /** The agent's own events in the register of the TPM, in their order. */
    readonly tpm: readonly LoggedEvent[];
    /** Those in RTMR 3 of TDX, whose number in logs is 4. */
    readonly rtmr: readonly LoggedEvent[];
    /** The firmware's log, which precedes them. Absent: the kernel has none. */
    readonly firmware?: Uint8Array;
  };
}

/** Reads the events of the firmware's log. Throws an EvidenceFormError. */
export function firmwareEvents({
  eventLogs: { firmware },
}: Pick<Bundle, 'eventLogs'>): readonly LoggedEvent[] {
  return firmware === undefined ? [] : parseTcgLog(firmware, 'event_logs, firmware');
}

const formVersion = 1;

/** Encodes a bundle as JSON. */
export function encodeBundle(bundle: Bundle): Uint8Array {
  const { claims, evidence, checkpoint, documents, eventLogs } = bundle;
  const json = {
    v: formVersion,
    claims: base64(claims),
    evidence: evidence.map(encodeKind),
    checkpoint,
    documents: documents.map(({ file, source, sha256 }) => ({ file, source, sha256 })),
    event_logs: {
      tpm: celRecords(eventLogs.tpm),
      rtmr: celRecords(eventLogs.rtmr),
      ...(eventLogs.firmware === undefined ? {} : { firmware: base64(eventLogs.firmware) }),
    },
  };
  return new Uint8Array(Buffer.from(`${JSON.stringify(json, undefined, 1)}\n`));
}

function encodeKind(one: KindBundle): object {
  switch (one.kind) {
    case 'tpm':
      return {
        kind: one.kind,
        attest: base64(one.attest),
        signature: base64(one.signature),
        public: base64(one.publicArea),
        bank: one.bank,
        registers: Object.fromEntries(one.values),
        ...(one.certificates.length === 0 ? {} : { certificates: one.certificates.map(base64) }),
      };
    case 'snp':
      return { kind: one.kind, report: base64(one.report), certificates: base64(one.certificates) };
    case 'tdx':
      return { kind: one.kind, quote: base64(one.quote) };
  }
}

/** Parses a bundle. Nothing of it is believed yet. Throws an EvidenceFormError. */
export function parseBundle(bytes: Uint8Array): Bundle {
  const form = formOf(parseJson(bytes, 'the bundle'), 'the bundle');
  form.integer('v', formVersion, formVersion);
  const logs = formOf(form.get('event_logs'), 'event_logs');
  const bundle: Bundle = {
    claims: form.base64('claims'),
    evidence: form.array('evidence').map(parseKind),
    checkpoint: form.string('checkpoint'),
    documents: form.array('documents').map((document) => {
      const one = formOf(document, 'documents');
      const parsed = {
        file: one.string('file'),
        source: one.string('source'),
        sha256: one.hex('sha256', 32),
      };
      one.end();
      return parsed;
    }),
    eventLogs: {
      tpm: parseCelRecords(logs.array('tpm'), 'event_logs, tpm'),
      rtmr: parseCelRecords(logs.array('rtmr'), 'event_logs, rtmr'),
      ...(logs.has('firmware') ? { firmware: logs.base64('firmware') } : {}),
    },
  };
  logs.end();
  form.end();
  const kinds = bundle.evidence.map(({ kind }) => kind);
  if (new Set(kinds).size !== kinds.length)
    throw new EvidenceFormError('evidence: two entries are of one kind');
  return bundle;
}

function parseKind(value: unknown): KindBundle {
  const form = formOf(value, 'evidence');
  const kind = form.oneOf('kind', evidenceKinds);
  const parsed = kindOf(kind, form);
  form.end();
  return parsed;
}

function kindOf(kind: EvidenceKind, form: JsonFields): KindBundle {
  switch (kind) {
    case 'tpm':
      return {
        kind,
        attest: form.base64('attest'),
        signature: form.base64('signature'),
        publicArea: form.base64('public'),
        bank: form.oneOf('bank', ['sha256', 'sha384', 'sha512']),
        values: parseRegisters(form, 'registers'),
        certificates: form.has('certificates') ? form.listOfBase64('certificates') : [],
      };
    case 'snp':
      return { kind, report: form.base64('report'), certificates: form.base64('certificates') };
    case 'tdx':
      return { kind, quote: form.base64('quote') };
  }
}

/** Reads register values in hex, by number. */
export function parseRegisters(form: JsonFields, key: string): ReadonlyMap<number, string> {
  return new Map(
    form.entries(key).map(([register, value]) => {
      if (
        !/^(?:\d|1\d|2[0-3])$/.test(register) ||
        typeof value !== 'string' ||
        !/^(?:[0-9a-f]{2})+$/.test(value)
      )
        throw form.wrong(key, 'numbers from 0 to 23 with values in hex, lower case');
      return [Number(register), value];
    }),
  );
}

function base64(bytes: Uint8Array): string {
  return Buffer.from(bytes).toString('base64');
}
