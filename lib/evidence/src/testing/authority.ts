import { constants, createPublicKey, type KeyObject, sign } from 'node:crypto';
import {
  bitString,
  contextTag,
  der,
  encodeName,
  type Extension,
  integer,
  objectIdentifier,
  octetString,
  sequence,
  Tag,
  time,
} from '@kata-agent/x509';

type Vendor = 'amd' | 'intel';

export const algorithms: Readonly<Record<Vendor, Uint8Array>> = {
  amd: Buffer.from(
    '304606092a864886f70d01010a3039a00f300d06096086480165030402020500a11c301a06092a864886f70d010108300d06096086480165030402020500a203020130a303020101',
    'hex',
  ),
  intel: Buffer.from('300a06082a8648ce3d040302', 'hex'),
};

export const day: number = 86_400_000;
/** The time of the tests. */
export const now: number = Date.UTC(2026, 5, 1);

export interface CertificateTemplate {
  readonly vendor: Vendor;
  readonly subject: string;
  readonly issuer: string;
  readonly key: KeyObject;
  readonly signingKey: KeyObject;
  readonly serial?: number;
  readonly authority?: boolean;
  /** Bits of KeyUsage: 4 for certificates, 2 for revocation lists. */
  readonly usage?: number;
  readonly notBefore?: number;
  readonly notAfter?: number;
  readonly extensions?: readonly Extension[];
  /** The common names of the subject, if not one. */
  readonly subjects?: readonly string[];
  /** The AlgorithmIdentifier, if not that of the vendor. */
  readonly algorithm?: Uint8Array;
}

/** Returns a certificate in DER. */
export function issue(template: CertificateTemplate): Uint8Array {
  const {
    vendor,
    signingKey,
    serial = 1,
    algorithm = algorithms[vendor],
    authority = false,
    usage = authority ? 6 : undefined,
  } = template;
  const extensions: Extension[] = [...(template.extensions ?? [])];
  if (authority)
    extensions.push({
      oid: '2.5.29.19',
      critical: true,
      value: sequence(der(Tag.Boolean, Uint8Array.of(0xff))),
    });
  if (usage !== undefined)
    extensions.push({ oid: '2.5.29.15', critical: true, value: bitString(Uint8Array.of(usage), 1) });
  const signed = sequence(
    der(contextTag(0, 'constructed'), integer(Uint8Array.of(2))),
    integer(Uint8Array.of(serial)),
    algorithm,
    name(template.issuer),
    sequence(time(template.notBefore ?? now - 1000 * day), time(template.notAfter ?? now + 1000 * day)),
    name(...(template.subjects ?? [template.subject])),
    createPublicKey(template.key).export({ type: 'spki', format: 'der' }),
    der(contextTag(3, 'constructed'), sequence(...extensions.map(encodeExtension))),
  );
  return sequence(signed, algorithm, bitString(signAs(vendor, signed, signingKey)));
}

export interface ListTemplate {
  readonly vendor: Vendor;
  readonly issuer: string;
  readonly signingKey: KeyObject;
  readonly serials?: readonly number[];
  readonly thisUpdate?: number;
  readonly nextUpdate?: number | null;
  readonly extensions?: readonly Extension[];
  /** The AlgorithmIdentifier, if not that of the vendor. */
  readonly algorithm?: Uint8Array;
}

/** Returns a certificate revocation list in DER. */
export function revoke(template: ListTemplate): Uint8Array {
  const {
    vendor,
    algorithm = algorithms[vendor],
    serials = [],
    thisUpdate = now - day,
    nextUpdate = now + day,
    extensions = [],
  } = template;
  const entries = serials.map((serial) => sequence(integer(Uint8Array.of(serial)), time(now - 2 * day)));
  const signed = sequence(
    integer(Uint8Array.of(1)),
    algorithm,
    name(template.issuer),
    time(thisUpdate),
    ...(nextUpdate === null ? [] : [time(nextUpdate)]),
    ...(entries.length === 0 ? [] : [sequence(...entries)]),
    ...(extensions.length === 0
      ? []
      : [der(contextTag(0, 'constructed'), sequence(...extensions.map(encodeExtension)))]),
  );
  return sequence(signed, algorithm, bitString(signAs(vendor, signed, template.signingKey)));
}

function signAs(vendor: Vendor, data: Uint8Array, key: KeyObject): Uint8Array {
  if (vendor === 'intel') return sign('sha256', data, key);
  return sign('sha384', data, { key, padding: constants.RSA_PKCS1_PSS_PADDING, saltLength: 48 });
}

function name(...commonNames: readonly string[]): Uint8Array {
  return encodeName([
    [{ type: 'O', text: 'Vendor of the tests' }],
    ...commonNames.map((text) => [{ type: 'CN', text }]),
  ]);
}

function encodeExtension({ oid, critical = false, value }: Extension): Uint8Array {
  const flag = critical ? [der(Tag.Boolean, Uint8Array.of(0xff))] : [];
  return sequence(objectIdentifier(oid), ...flag, octetString(value));
}
