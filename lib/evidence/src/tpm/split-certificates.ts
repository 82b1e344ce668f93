import { DerReader, Tag } from '@kata-agent/x509';

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
