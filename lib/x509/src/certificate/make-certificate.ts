import { createPublicKey, type KeyObject, randomBytes, sign } from 'node:crypto';
import {
  bitString,
  der,
  integer,
  objectIdentifier,
  octetString,
  sequence,
  setOf,
  time,
  utf8String,
} from '../der/der-writer.js';
import { contextTag, Tag } from '../der/tag.js';
import { attributeTypes } from '../name/distinguished-name.js';
import type { AlternativeName } from './alternative-names.js';
import { Oid } from './certificate-fields.js';

/** The end of a certificate without a planned end (RFC 5280, 4.1.2.5). */
export const noExpiry: number = Date.UTC(9999, 11, 31, 23, 59, 59);

export interface Extension {
  readonly oid: string;
  readonly critical?: boolean;
  /** The value in DER. */
  readonly value: Uint8Array;
}

/** The content of a certificate. */
export interface CertificateContent {
  /** Names in DER: see `encodeName`. */
  readonly issuer: Uint8Array;
  readonly subject: Uint8Array;
  /** Milliseconds of the epoch. */
  readonly notBefore: number;
  /** Milliseconds of the epoch. */
  readonly notAfter: number;
  readonly publicKey: KeyObject;
  readonly extensions: readonly Extension[];
  /** Octets; random when left out. */
  readonly serial?: Uint8Array;
}

const serialOctets = 16;
const ecdsaWithSha256 = '1.2.840.10045.4.3.2';
/** Bit 0 of KeyUsage, the first of its octet. */
const digitalSignature = { bits: 0x80, unused: 7 };

/** Returns a certificate in DER, signed by a P-256 key with ECDSA and SHA-256. */
export function makeCertificate(content: CertificateContent, signingKey: KeyObject): Uint8Array {
  const algorithm = sequence(objectIdentifier(ecdsaWithSha256));
  const signed = sequence(
    der(contextTag(0, 'constructed'), integer(Uint8Array.of(2))),
    integer(content.serial ?? randomSerial()),
    algorithm,
    content.issuer,
    sequence(time(content.notBefore), time(content.notAfter)),
    content.subject,
    content.publicKey.export({ type: 'spki', format: 'der' }),
    ...(content.extensions.length === 0
      ? []
      : [der(contextTag(3, 'constructed'), sequence(...content.extensions.map(encodeExtension)))]),
  );
  return sequence(signed, algorithm, bitString(sign('sha256', signed, signingKey)));
}

export interface SelfSignedOptions {
  readonly key: KeyObject;
  readonly commonName: string;
  readonly alternativeNames: readonly Pick<AlternativeName, 'kind' | 'value'>[];
  /** The begin of its validity in milliseconds of the epoch: the floor of the clock. */
  readonly notBefore: number;
  /** Further extensions, such as evidence. */
  readonly extensions?: readonly Extension[];
}

/**
 * Returns the certificate of a server or client that is believed by pin or evidence alone, in DER. It never expires:
 * the clock, which the host sets, must not end it.
 */
export function makeSelfSigned(options: SelfSignedOptions): Uint8Array {
  const name = encodeName([[{ type: 'CN', text: options.commonName }]]);
  return makeCertificate(
    {
      issuer: name,
      subject: name,
      notBefore: options.notBefore,
      notAfter: noExpiry,
      publicKey: createPublicKey(options.key),
      extensions: [
        basicConstraints(),
        keyUsage(digitalSignature.bits, digitalSignature.unused),
        extendedKeyUsage([Oid.ServerAuth, Oid.ClientAuth]),
        ...(options.alternativeNames.length === 0 ? [] : [subjectAltName(options.alternativeNames)]),
        ...(options.extensions ?? []),
      ],
    },
    options.key,
  );
}

/** An attribute of a name to encode; UTF8String unless `tag` says otherwise. */
export interface NameAttribute {
  /** A short name such as `CN`, or an object identifier. */
  readonly type: string;
  readonly text: string;
  readonly tag?: number;
}

export function encodeName(names: readonly (readonly NameAttribute[])[]): Uint8Array {
  return sequence(...names.map((attributes) => setOf(...attributes.map(encodeAttribute))));
}

/** The constraints of a certificate that signs no other. */
export function basicConstraints(): Extension {
  return { oid: Oid.BasicConstraints, critical: true, value: sequence() };
}

export function keyUsage(bits: number, unused: number): Extension {
  return { oid: Oid.KeyUsage, critical: true, value: bitString(Uint8Array.of(bits), unused) };
}

export function extendedKeyUsage(usages: readonly string[]): Extension {
  return { oid: Oid.ExtendedKeyUsage, value: sequence(...usages.map(objectIdentifier)) };
}

/** Alternative names; critical beside an empty subject (RFC 5280, 4.2.1.6). */
export function subjectAltName(
  names: readonly Pick<AlternativeName, 'kind' | 'value'>[],
  critical = false,
): Extension {
  return { oid: Oid.SubjectAltName, critical, value: sequence(...names.map(encodeAlternativeName)) };
}

function encodeExtension({ oid, critical = false, value }: Extension): Uint8Array {
  const flag = critical ? [der(Tag.Boolean, Uint8Array.of(0xff))] : [];
  return sequence(objectIdentifier(oid), ...flag, octetString(value));
}

function encodeAttribute({ type, text, tag = Tag.Utf8String }: NameAttribute): Uint8Array {
  const value = tag === Tag.Utf8String ? utf8String(text) : der(tag, encodeText(text, tag));
  return sequence(objectIdentifier(attributeTypes[type] ?? type), value);
}

function encodeText(text: string, tag: number): Uint8Array {
  if (tag === Tag.BmpString) return Buffer.from(text, 'utf16le').swap16();
  return Buffer.from(text, 'latin1');
}

const nameTags = { email: 1, dns: 2, uri: 6, ip: 7 };

function encodeAlternativeName({ kind, value }: Pick<AlternativeName, 'kind' | 'value'>): Uint8Array {
  if (kind === 'other') return Buffer.from(value, 'hex');
  const octets = kind === 'ip' ? Uint8Array.from(value.split('.').map(Number)) : Buffer.from(value, 'latin1');
  return der(contextTag(nameTags[kind], 'primitive'), octets);
}

/** The first bit is clear: a serial number is positive and, by its second bit, never zero. */
function randomSerial(): Uint8Array {
  const octets = randomBytes(serialOctets);
  octets[0] = ((octets[0] ?? 0) & 0x7f) | 0x40;
  return octets;
}
