import { type Certificate, parseCertificate } from '@kata-agent/x509';

/** Names are part of records and of messages: those of one certificate have no more characters together. */
const maxNames = 4096;

/** Parses a certificate of the other end. Returns the fault of one that is not accepted, whatever signed it. */
export function readCertificate(bytes: Uint8Array | undefined): Certificate | string {
  if (bytes === undefined) return 'there is no certificate';
  let certificate: Certificate;
  try {
    certificate = parseCertificate(bytes);
  } catch (error) {
    // Any error refuses the other end, also one of ours.
    return `the certificate is not valid: ${(error as Error).message}`;
  }
  const { subjectText, alternativeNames } = certificate;
  const names = alternativeNames.reduce((sum, { value }) => sum + value.length, subjectText.length);
  return names > maxNames ? `the names of the certificate have ${names} characters` : certificate;
}
