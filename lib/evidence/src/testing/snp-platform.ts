import { createHash, createPublicKey, generateKeyPairSync, type KeyObject, sign } from 'node:crypto';
import { der, type Extension, integer, Tag } from '@kata-agent/x509';
import { parseCollateral } from '../collateral/collateral.js';
import type { SnpProduct, SnpTcb } from '../snp/tcb.js';
import type { EndorsementKind, SnpRoot } from '../snp/snp-chain.js';
import { parseSnpValues } from '../snp/values.js';
import { type SnpVerification, verifySnp } from '../verify/verify-snp.js';
import { type CertificateTemplate, issue, type ListTemplate, now, revoke } from './authority.js';

const measurement: Buffer = Buffer.alloc(48, 0x4d);

export const hostData: Buffer = Buffer.alloc(32, 0x48);

export const milan: SnpTemplate = {
  product: 'Milan',
  kind: 'VCEK',
  version: 3,
  tcb: { bootloader: 3, tee: 0, snp: 8, microcode: 200 },
};

export const turin: SnpTemplate = {
  product: 'Turin',
  kind: 'VCEK',
  version: 5,
  tcb: { fmc: 1, bootloader: 3, tee: 0, snp: 8, microcode: 0x41 },
};

/** Two keys of 4096 bits are slow to make: the one of ASK and ASVK is that of the other root, too. */
export const rootKey: KeyObject = rsaKey();
export const signerKey: KeyObject = rsaKey();
const chipKey: KeyObject = generateKeyPairSync('ec', { namedCurve: 'P-384' }).privateKey;

export const reportData: Buffer = Buffer.alloc(64, 0x52);
const chipId = Buffer.alloc(64, 0xc1);
const policy = 0x3_0000n;

/** The offset of each field that a test changes. */
export const At = {
  version: 0,
  policy: 0x08,
  vmpl: 0x30,
  signatureAlgorithm: 0x34,
  currentTcb: 0x38,
  key: 0x48,
  reportData: 0x50,
  measurement: 0x90,
  hostData: 0xc0,
  reportedTcb: 0x180,
  family: 0x188,
  model: 0x189,
  chipId: 0x1a0,
  committedTcb: 0x1e0,
  launchTcb: 0x1f0,
  mitigations: 0x1f8,
  signature: 0x2a0,
} as const;

/** Returns a signed report; `change` sees it before it is signed. */
export function makeReport(template: SnpTemplate, change: (report: Buffer) => void = () => {}): Uint8Array {
  const { product, version, kind } = template;
  const report = Buffer.alloc(1184);
  report.writeUInt32LE(version, At.version);
  report.writeBigUInt64LE(policy, At.policy);
  report.writeUInt32LE(1, At.signatureAlgorithm);
  report.writeUInt32LE(kind === 'VLEK' ? 1 << 2 : 0, At.key);
  reportData.copy(report, At.reportData);
  measurement.copy(report, At.measurement);
  hostData.copy(report, At.hostData);
  for (const at of [At.currentTcb, At.reportedTcb, At.committedTcb, At.launchTcb])
    encodeTcb(template).copy(report, at);
  if (version >= 3) {
    const cpus = { Milan: [0x19, 1], Genoa: [0x19, 0x11], Turin: [0x1a, 2] };
    report.set(cpus[product], At.family);
  }
  if (version >= 5) report.writeBigUInt64LE(3n, At.mitigations);
  chipIdOf(product).copy(report, At.chipId);
  change(report);
  const signature = sign('sha384', report.subarray(0, At.signature), {
    key: chipKey,
    dsaEncoding: 'ieee-p1363',
  });
  report.set(Buffer.from(signature.subarray(0, 48)).reverse(), At.signature);
  report.set(Buffer.from(signature.subarray(48)).reverse(), At.signature + 72);
  return report;
}

export interface SnpCertificates {
  readonly key: Uint8Array;
  readonly signer: Uint8Array;
  readonly root: Uint8Array;
}

/** Returns the chain of a report; changes of a template make it wrong. */
export function makeChain(
  template: SnpTemplate,
  changes: Partial<Record<keyof SnpCertificates, Partial<CertificateTemplate>>> = {},
): SnpCertificates {
  const { product, kind } = template;
  const names = {
    root: `ARK-${product}`,
    signer: kind === 'VCEK' ? `SEV-${product}` : `SEV-VLEK-${product}`,
  };
  return {
    root: issue({
      vendor: 'amd',
      subject: names.root,
      issuer: names.root,
      key: rootKey,
      signingKey: rootKey,
      authority: true,
      ...changes.root,
    }),
    signer: issue({
      vendor: 'amd',
      subject: names.signer,
      issuer: names.root,
      key: signerKey,
      signingKey: rootKey,
      serial: 2,
      authority: true,
      usage: 4,
      ...changes.signer,
    }),
    key: issue({
      vendor: 'amd',
      subject: `SEV-${kind}`,
      issuer: names.signer,
      key: chipKey,
      signingKey: signerKey,
      serial: 0,
      extensions: endorsementExtensions(template),
      ...changes.key,
    }),
  };
}

const amd = '1.3.6.1.4.1.3704.1';

export function endorsementExtensions({ product, kind, tcb }: SnpTemplate): readonly Extension[] {
  const levels = { bootloader: 1, tee: 2, snp: 3, microcode: 8, fmc: 9 };
  const bytes = Object.entries(levels).flatMap(([part, number]) => {
    const level = tcb[part as keyof typeof levels];
    return level === undefined ? [] : [{ oid: `${amd}.3.${number}`, value: integer(Uint8Array.of(level)) }];
  });
  const reserved = [5, 6, 7].map((number) => ({
    oid: `${amd}.3.${number}`,
    value: integer(Uint8Array.of(0)),
  }));
  const id =
    kind === 'VCEK'
      ? { oid: `${amd}.4`, value: product === 'Turin' ? chipId.subarray(0, 8) : chipId }
      : { oid: `${amd}.5`, value: der(Tag.Ia5String, Buffer.from('cloud')) };
  return [...bytes, ...reserved, id];
}

export function makeList(template: SnpTemplate, changes: Partial<ListTemplate> = {}): Uint8Array {
  return revoke({ vendor: 'amd', issuer: `ARK-${template.product}`, signingKey: rootKey, ...changes });
}

function rootsOf(product: SnpProduct): readonly SnpRoot[] {
  const publicKey = createPublicKey(rootKey).export({ type: 'spki', format: 'der' });
  return [{ product, spki: createHash('sha256').update(publicKey).digest('hex') }];
}

/** Everything of a verification; a test changes some. */
export interface SnpCase {
  readonly template: SnpTemplate;
  readonly report: Uint8Array;
  readonly certificates: readonly Uint8Array[];
  readonly lists: readonly Uint8Array[];
  readonly values: readonly object[];
  readonly hostData: Uint8Array | undefined;
  readonly at: number | undefined;
  readonly vmpl: number;
  readonly roots: readonly SnpRoot[];
  readonly collateralCertificates: readonly Uint8Array[];
}

export function makeCase(template: SnpTemplate): SnpCase {
  return {
    template,
    report: makeReport(template),
    certificates: Object.values(makeChain(template)),
    lists: [makeList(template)],
    values: [makeValues(template)],
    hostData,
    at: now,
    vmpl: 0,
    roots: rootsOf(template.product),
    collateralCertificates: [],
  };
}

export function verifyCase(given: SnpCase): SnpVerification {
  const { report, certificates, lists, values, collateralCertificates, ...expectation } = given;
  const files = [...lists, ...collateralCertificates];
  return verifySnp(
    { report, certificates },
    {
      ...expectation,
      reportData,
      values: values.length === 0 ? [] : parseSnpValues(values),
      collateral: parseCollateral(new Map(files.map((bytes, index) => [`${index}`, bytes]))),
    },
  );
}

function encodeTcb({ product, tcb }: SnpTemplate): Buffer {
  const { fmc = 0, bootloader = 0, tee = 0, snp = 0, microcode = 0 } = tcb;
  return Buffer.from(
    product === 'Turin'
      ? [fmc, bootloader, tee, snp, 0, 0, 0, microcode]
      : [bootloader, tee, 0, 0, 0, 0, snp, microcode],
  );
}

function chipIdOf(product: SnpProduct): Buffer {
  return product === 'Turin' ? Buffer.concat([chipId.subarray(0, 8), Buffer.alloc(56)]) : chipId;
}

function rsaKey(): KeyObject {
  return generateKeyPairSync('rsa', { modulusLength: 4096 }).privateKey;
}

export interface SnpTemplate {
  readonly product: SnpProduct;
  readonly kind: EndorsementKind;
  readonly version: number;
  readonly tcb: SnpTcb;
}

/** The values file that accepts the guest of a template. */
export function makeValues(
  { product, tcb }: SnpTemplate,
  changes: Readonly<Record<string, unknown>> = {},
): object {
  return {
    product,
    measurement: measurement.toString('hex'),
    policy: '0x30000',
    host_data: hostData.toString('hex'),
    minimum_tcb: tcb,
    ...changes,
  };
}
