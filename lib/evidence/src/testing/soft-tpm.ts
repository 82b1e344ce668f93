import { createHash, generateKeyPairSync, type KeyObject, sign } from 'node:crypto';
import { agentLogSigner, emptyRoot, signCheckpoint, type TreeHash } from '@kata-agent/tlog';
import type { Bundle, TpmBundle } from '../bundle.js';
import { claimsDigest, type Claims, encodeClaims } from '../claims.js';
import { keysEvent, separatorEvent } from '../events/agent-event.js';
import { eventType, initialValue, type LoggedEvent, replay } from '../events/event-log.js';
import { attribute } from '../tpm/tpm-structures.js';
import type { ReferenceValues } from '../verify/values.js';

const u16 = (value: number): Buffer => Buffer.from([value >> 8, value & 0xff]);
const u32 = (value: number): Buffer => {
  const bytes = Buffer.alloc(4);
  bytes.writeUInt32BE(value);
  return bytes;
};
const sized = (bytes: Uint8Array): Buffer => Buffer.concat([u16(bytes.length), bytes]);

/** The key of a TPM that the tests are. */
export const ak: { readonly privateKey: KeyObject; readonly publicKey: KeyObject } = generateKeyPairSync(
  'ec',
  {
    namedCurve: 'P-256',
  },
);
const logKey = agentLogSigner(generateKeyPairSync('ed25519').privateKey);

export const akAttributes: number =
  attribute.fixedTPM |
  attribute.fixedParent |
  attribute.sensitiveDataOrigin |
  attribute.restricted |
  attribute.sign |
  0x40;

/** Returns TPMT_PUBLIC of the key. */
function publicArea(attributes: number = akAttributes): Uint8Array {
  const { x = '', y = '' } = ak.publicKey.export({ format: 'jwk' });
  return Buffer.concat([
    u16(0x23),
    u16(0x0b),
    u32(attributes),
    u16(0),
    ...[0x10, 0x18, 0x0b, 0x03, 0x10].map(u16),
    sized(Buffer.from(x, 'base64url')),
    sized(Buffer.from(y, 'base64url')),
  ]);
}

export const akName: string = `000b${createHash('sha256').update(publicArea()).digest('hex')}`;

/** What a program with access to the TPM can ask it for. */
interface Quote {
  readonly extraData: Uint8Array;
  readonly values: ReadonlyMap<number, string>;
  readonly attributes?: number;
  /** Changes TPMS_ATTEST before it is signed, as no TPM does. */
  readonly change?: (attest: Buffer) => void;
}

/** Signs registers of the bank sha256. */
function quote({ extraData, values, attributes, change }: Quote): TpmBundle {
  const registers = [...values.keys()].sort((a, b) => a - b);
  const select = Buffer.alloc(3);
  for (const register of registers)
    select[register >> 3] = (select[register >> 3] ?? 0) | (1 << (register & 7));
  const digest = createHash('sha256');
  for (const register of registers) digest.update(Buffer.from(values.get(register) ?? '', 'hex'));
  const attest = Buffer.concat([
    Buffer.from('ff5443478018', 'hex'),
    sized(Buffer.from('signer')),
    sized(extraData),
    Buffer.alloc(8),
    u32(7),
    u32(0),
    Buffer.alloc(9),
    u32(1),
    u16(0x0b),
    Buffer.from([3]),
    select,
    sized(digest.digest()),
  ]);
  change?.(attest);
  const both = sign('sha256', attest, { key: ak.privateKey, dsaEncoding: 'ieee-p1363' });
  return {
    kind: 'tpm',
    attest,
    signature: Buffer.concat([u16(0x18), u16(0x0b), sized(both.subarray(0, 32)), sized(both.subarray(32))]),
    publicArea: publicArea(attributes),
    bank: 'sha256',
    values,
    certificates: [],
  };
}

/** Returns an event of the agent, with the digest of its data. */
export function event(data: Uint8Array, register = 13): LoggedEvent {
  const digests = Object.fromEntries(
    ['sha256', 'sha384'].map((bank) => [bank, createHash(bank).update(data).digest('hex')]),
  );
  return { register, type: eventType.eventTag, digests, data };
}

/** The event of lib/config/src/delivery/measured-event.ts. */
export function configurationEvent(digest: string): Uint8Array {
  const entry = Buffer.from(
    `urn:kata-agent Configuration ${JSON.stringify({ digest: `sha256:${digest}`, documents: [] })}`,
  );
  const header = Buffer.alloc(8);
  header.writeUInt32LE(0x4141454c, 0);
  header.writeUInt32LE(entry.length, 4);
  return Buffer.concat([header, entry]);
}

const sha256 = (text: string): string => createHash('sha256').update(text).digest('hex');
const document = sha256('document');

export const claims: Claims = {
  nonce: '5a'.repeat(32),
  channel: `tls-exporter:${'c4'.repeat(32)}`,
  tlsSpki: sha256('key'),
  logKey: logKey.verifier.toString(),
  treeSize: 0,
  rootHash: emptyRoot,
  configDigest: sha256(`${document}\n`),
  documents: [document],
  bootId: 'b001',
  version: '0.1.0',
};

/** Returns the events of a start, as the agent measures them. */
export function startEvents(change: Partial<Claims> = {}): readonly LoggedEvent[] {
  const all = { ...claims, ...change };
  return [
    event(configurationEvent(all.configDigest)),
    event(keysEvent({ tlsSpki: all.tlsSpki, logKey: all.logKey })),
    event(separatorEvent(all.bootId)),
  ];
}

/** What a bundle is made of. */
export interface Parts {
  readonly claims?: Partial<Claims>;
  readonly events?: readonly LoggedEvent[];
  readonly registers?: readonly number[];
  readonly quote?: Partial<Quote>;
  readonly bundle?: Partial<Bundle>;
}

/** Makes a bundle: all of it is what a program that is root in the guest can make with the TPM. */
export function makeBundle({
  claims: givenClaims = {},
  events,
  registers = [0, 4, 13],
  quote: asked = {},
  bundle,
}: Parts = {}): Bundle {
  const all = { ...claims, ...givenClaims };
  const bytes = encodeClaims(all);
  const tpm = events ?? startEvents();
  const replayed = replay(tpm, 'sha256');
  const values = new Map(registers.map((one) => [one, replayed.get(one) ?? initialValue('sha256')]));
  return {
    claims: bytes,
    evidence: [quote({ extraData: claimsDigest(bytes), values, ...asked })],
    checkpoint: signCheckpoint(logKey, { size: all.treeSize, root: all.rootHash as TreeHash }),
    documents: [{ file: 'config.toml', source: '-c', sha256: document }],
    eventLogs: { tpm, rtmr: [] },
    ...bundle,
  };
}

/** Accepts the TPM and the configuration. */
export const values: ReferenceValues = {
  accept: ['tpm'],
  require: [],
  configurations: [claims.configDigest],
  register: 13,
  waive: [],
  tpm: [{ ak: akName, bank: 'sha256', registers: new Map([[4, initialValue('sha256')]]) }],
  tpmRoots: { certificates: [], reports: false },
  snp: [],
  tdx: [],
};
