import type { KeyObject } from 'node:crypto';
import { DerReader, Tag } from '@kata-agent/x509';
import { equalBytes } from '../byte-reader.js';
import { type ChainCertificate, issuanceFault, parseChainCertificate } from '../chain/chain-certificate.js';
import { operatorsScheme } from '../chain/signature-scheme.js';
import { EvidenceFormError } from '../evidence-error.js';

/** tcg-kp-AIKCertificate: the certificate is of a restricted signing key of a TPM (TCG EK Credential Profile, 3.2.16). */
const attestationUsage = '2.23.133.8.3';
const extendedKeyUsage = '2.5.29.37';
/** TPM manufacturer, model and version. */
const subjectAltName = '2.5.29.17';
const ofKey: ReadonlySet<string> = new Set([extendedKeyUsage, subjectAltName]);

const maxCertificates = 64;
const maxAuthorities = 4;
/** Of all chains that are tried: each costs up to a millisecond, and a guest that is not known yet sends the certificates. */
const maxChecks = 64;

/** The certificates of an attestation key, from the key to an authority of the values file. */
export interface AkChain {
  readonly key: ChainCertificate;
  /** From the issuer of the key to the root. */
  readonly authorities: readonly ChainCertificate[];
}

/**
 * Finds the chain of an attestation key among certificates in any order: that of the key, then each one's issuer, up to one of
 * the roots, which the verifier trusts. A text: why there is none. Undefined: no certificate is of this key.
 */
export function findAkChain(
  publicKey: KeyObject,
  given: readonly Uint8Array[],
  roots: readonly ChainCertificate[],
): AkChain | string | undefined {
  if (given.length > maxCertificates)
    return `there are ${given.length} certificates; at most ${maxCertificates} are read`;
  const certificates = given.flatMap((bytes) => {
    try {
      return [parseChainCertificate(bytes)];
    } catch (error) {
      if (error instanceof EvidenceFormError) return [];
      throw error;
    }
  });
  const spki = publicKey.export({ type: 'spki', format: 'der' });
  const ofThisKey = certificates.filter((each) => equalBytes(each.publicKey, spki));
  const budget = { checks: maxChecks };
  const found = ofThisKey.map((key) => chainOf(key, certificates, roots, budget));
  return found.find((each) => typeof each !== 'string') ?? found[0];
}

function chainOf(
  key: ChainCertificate,
  certificates: readonly ChainCertificate[],
  roots: readonly ChainCertificate[],
  budget: { checks: number },
): AkChain | string {
  if (key.authority) return `the certificate ${key.commonName} of the key is one of an authority`;
  if (!usagesOf(key).includes(attestationUsage))
    return `the certificate ${key.commonName} is not one of an attestation key: the usage ${attestationUsage} is missing`;
  const authorities: ChainCertificate[] = [];
  let subject = key;
  let fault = `no certificate of its issuer leads to a CA of the values file`;
  while (authorities.length < maxAuthorities) {
    const below = authorities.length;
    const issues = (issuer: ChainCertificate): boolean => {
      if (!equalBytes(subject.issuer, issuer.subject)) return false;
      budget.checks -= 1;
      if (budget.checks < 0) {
        fault = `more than ${maxChecks} certificates of issuers were tried`;
        return false;
      }
      const why =
        issuer.pathLength !== undefined && below > issuer.pathLength
          ? `the certificate ${issuer.commonName} allows ${issuer.pathLength} authorities below it`
          : issuanceFault(
              subject,
              issuer,
              operatorsScheme(subject.algorithm),
              below === 0 ? ofKey : undefined,
            );
      if (why !== undefined) fault = why;
      return why === undefined;
    };
    const root = roots.find(issues);
    if (root !== undefined) return { key, authorities: [...authorities, root] };
    const issuer = certificates.find((each) => !authorities.includes(each) && issues(each));
    if (issuer === undefined) break;
    authorities.push(issuer);
    subject = issuer;
  }
  return `the certificate ${key.commonName} of the key: ${fault}`;
}

function usagesOf({ extensions }: ChainCertificate): readonly string[] {
  const value = extensions.get(extendedKeyUsage)?.value;
  if (value === undefined) return [];
  try {
    const list = new DerReader(value).inside(Tag.Sequence, 'the extended key usage');
    const usages: string[] = [];
    while (list.next !== undefined) usages.push(list.objectIdentifier('the extended key usage'));
    return usages;
  } catch {
    return [];
  }
}

/** Splits certificates in DER that follow one another, up to the first byte that begins none: a TPM fills the rest of its space. */
export function splitCertificates(bytes: Uint8Array): readonly Uint8Array[] {
  const certificates: Uint8Array[] = [];
  let rest = bytes;
  while (rest[0] === Tag.Sequence) {
    const whole = firstOf(rest);
    if (whole === undefined) break;
    certificates.push(whole);
    rest = rest.subarray(whole.length);
  }
  return certificates;
}

function firstOf(bytes: Uint8Array): Uint8Array | undefined {
  try {
    return new DerReader(bytes).any('the certificate').whole;
  } catch {
    return undefined;
  }
}
