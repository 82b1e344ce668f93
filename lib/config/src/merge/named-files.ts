import { createHash } from 'node:crypto';
import { certificatesOfPem, PemError, revocationListsOfPem } from '@kata-agent/x509';
import type { DocumentReader } from '../delivery.js';
import type { ImageSignatures } from '../image.js';
import type { NamedFile } from '../listener.js';
import type { Diagnostic, Span } from '../diagnostics/diagnostic.js';
import { quote } from '../diagnostics/display-text.js';
import { diagnosticIn, type ParsedDocument } from '../parse/parsed-document.js';
import { type GivenSection, textOf } from '../settings/read-section.js';
import { isJsonText, isPemText, isResource } from '../value-types/sources.js';
import { tlsPemKeys } from '../listener/listener-keys.js';

/** What a text must have; `credentials` are JSON, which the agent parses, and a trusted root is JSON of Sigstore. */
type PemKind = keyof typeof tlsPemKeys | 'publicKey' | 'credentials' | 'trustedRoot';

/** A PEM text, a trusted root, or the file of credentials, that a document has or names. */
interface PemValue {
  /** `listener.tenant.tls.client_ca` */
  readonly key: string;
  readonly kind: PemKind;
  /** A path, or the text. */
  readonly value: string;
  readonly span: Span;
}

/** The PEM texts of a base document by key, and the files that some came from. */
export interface PemTexts {
  readonly texts: ReadonlyMap<string, string>;
  /** Sorted by key. */
  readonly files: readonly NamedFile[];
  readonly diagnostics: readonly Diagnostic[];
}

/** Returns the key of the CA of a witness's server. */
export function witnessCaKey(name: string): string {
  return `audit.witness.${name}.ca`;
}

/** The key of `[image] registry_ca`. */
export const registryCaKey: string = 'image.registry_ca';

/** The key of the file of `[image] credentials`. */
export const credentialsKey: string = 'image.credentials';

/** Returns the key of a public key in `[image] signatures`, by the numbers of the entry and of the key in it. */
export function signatureKeyKey(entry: number, index: number): string {
  return `image.signatures[${entry}].keys[${index}]`;
}

/** Returns the key of the trusted root of an entry in `[image] signatures`. */
export function trustedRootKey(entry: number): string {
  return `image.signatures[${entry}].trusted_root`;
}

/** Returns the key of a PEM value of a listener. */
export function pemKey(listener: string, kind: keyof typeof tlsPemKeys): string {
  return `listener.${listener}.tls.${tlsPemKeys[kind]}`;
}

/**
 * Reads the PEM texts of a base document. Others have none, except what `may_set` lets a bound one set: the host delivers no CA (S25).
 *
 * @param files undefined: on another machine, where files of the guest are not read, which is a warning.
 */
export function readPemTexts(base: ParsedDocument | undefined, files: DocumentReader | undefined): PemTexts {
  const texts = new Map<string, string>();
  const read: NamedFile[] = [];
  const diagnostics: Diagnostic[] = [];
  if (base === undefined) return { texts, files: read, diagnostics };
  for (const pem of pemValues(base)) {
    const { key, value, span } = pem;
    const report = (severity: Diagnostic['severity'], message: string, help: string): void =>
      void diagnostics.push(diagnosticIn(base, severity, 'KA1406', span, `${key}: ${message}`, help));
    let text = value;
    const isText = isPemText(value) || isJsonText(value);
    if (!isText) {
      const found = files?.read(value);
      if (found === undefined) {
        const help = 'pass --root DIR, the root of the file system of the guest';
        report('warning', `${value} is not checked, and no part of the digest`, help);
        continue;
      }
      if (!found.ok) {
        report('error', found.message, found.help);
        continue;
      }
      text = Buffer.from(found.bytes).toString('latin1');
      read.push({ key, file: value, sha256: createHash('sha256').update(found.bytes).digest('hex') });
    }
    const fault = pemFault(pem.kind, text);
    if (fault === undefined) texts.set(key, text);
    else report('error', `${isText ? 'the text' : quote(value)} ${fault.what}`, fault.help);
  }
  return { texts, files: read.toSorted((a, b) => (a.key < b.key ? -1 : 1)), diagnostics };
}

function pemValues({ listeners, witnesses, sections }: ParsedDocument): readonly PemValue[] {
  const ofWitnesses = witnesses.flatMap(({ name, ca }): readonly PemValue[] =>
    ca === undefined ? [] : [{ key: witnessCaKey(name), kind: 'serverCa', ...ca }],
  );
  return [...listenerPemValues(listeners), ...ofWitnesses, ...imagePemValues(sections.image)];
}

function imagePemValues(image: GivenSection): readonly PemValue[] {
  const texts = [
    { key: registryCaKey, kind: 'serverCa', given: image.get('registry_ca') },
    { key: credentialsKey, kind: 'credentials', given: image.get('credentials') },
  ] as const;
  const signatures = image.get('signatures');
  const entries = (signatures?.value ?? []) as readonly ImageSignatures[];
  return [
    ...texts.flatMap(({ key, kind, given }) => {
      const value = textOf(given);
      return given === undefined || value === undefined || isResource(value)
        ? []
        : [{ key, kind, value, span: given.span }];
    }),
    ...(signatures === undefined
      ? []
      : signatureTexts(entries).map((each) => ({ ...each, span: signatures.span }))),
  ];
}

/** Returns keys and trusted roots of `signatures` with the names under which they are measured. */
function signatureTexts(
  signatures: readonly Pick<ImageSignatures, 'keys' | 'keyless'>[],
): readonly Omit<PemValue, 'span'>[] {
  return signatures.flatMap(({ keys, keyless }, entry): readonly Omit<PemValue, 'span'>[] => [
    ...keys.map(
      (value, index) => ({ key: signatureKeyKey(entry, index), kind: 'publicKey', value }) as const,
    ),
    ...(keyless === undefined
      ? []
      : [{ key: trustedRootKey(entry), kind: 'trustedRoot', value: keyless.trustedRoot } as const]),
  ]);
}

function listenerPemValues(listeners: ParsedDocument['listeners']): readonly PemValue[] {
  return listeners.flatMap(({ name, tls, delivered }) =>
    (Object.keys(tlsPemKeys) as (keyof typeof tlsPemKeys)[]).flatMap((kind) => {
      const value = tls?.value[kind];
      return tls === undefined || value === undefined
        ? []
        : [
            {
              key: pemKey(name, kind),
              kind,
              value,
              span: delivered?.get(`tls.${tlsPemKeys[kind]}`) ?? tls.span,
            },
          ];
    }),
  );
}

/** The agent verifies certificates when it starts; here it is found that a file is another one altogether. */
function pemFault(kind: PemKind, text: string): PemFault | undefined {
  const begin = (label: string): string => `it must contain -----BEGIN ${label}-----`;
  try {
    if (kind === 'clientCrl')
      return revocationListsOfPem(text).length > 0
        ? undefined
        : { what: 'has no certificate revocation list', help: begin('X509 CRL') };
    if (kind === 'credentials') return undefined;
    if (kind === 'trustedRoot')
      return isTrustedRoot(text)
        ? undefined
        : {
            what: 'is no Sigstore trusted root',
            help: 'write it with `cosign trusted-root create`, or use trusted_root.json of a TUF repository',
          };
    if (kind === 'publicKey')
      return /^-----BEGIN PUBLIC KEY-----\r?$/m.test(text)
        ? undefined
        : { what: 'has no public key', help: begin('PUBLIC KEY') };
    if (kind === 'key')
      return /^-----BEGIN (EC |RSA )?PRIVATE KEY-----\r?$/m.test(text)
        ? undefined
        : { what: 'has no private key', help: begin('PRIVATE KEY') };
    return certificatesOfPem(text).length > 0
      ? undefined
      : { what: 'has no certificate', help: begin('CERTIFICATE') };
  } catch (error) {
    if (!(error instanceof PemError)) throw error;
    return { what: `is not valid: ${error.message}`, help: 'remove what is not part of a block' };
  }
}

/** The puller parses it when the agent starts. */
function isTrustedRoot(text: string): boolean {
  let value: unknown;
  try {
    value = JSON.parse(text);
  } catch {
    return false;
  }
  const mediaType =
    typeof value === 'object' && value !== null && 'mediaType' in value ? value.mediaType : '';
  return typeof mediaType === 'string' && mediaType.startsWith('application/vnd.dev.sigstore.trustedroot');
}

/** Why a text is not accepted. */
interface PemFault {
  readonly what: string;
  readonly help: string;
}
