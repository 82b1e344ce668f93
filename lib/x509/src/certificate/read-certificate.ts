import { type Certificate, parseCertificate } from './parse-certificate.js';

/** Names are part of records, of messages and of what rules see: those of one certificate have no more characters together. */
const maxNames = 4096;

/** Parses a certificate of the other end; returns the fault of one that is not accepted, whatever signed it. */
export function readCertificate(bytes: Uint8Array): Certificate | string {
  let certificate: Certificate;
  try {
    certificate = parseCertificate(bytes);
  } catch (error) {
    // Any error refuses the other end, also one of ours: it must not end the process.
    return (error as Error).message;
  }
  const names = namesLength(certificate);
  return names > maxNames
    ? `its names have ${names} characters; at most ${maxNames} are accepted`
    : certificate;
}

function namesLength({ subjectText, alternativeNames }: Certificate): number {
  return alternativeNames.reduce((sum, { value }) => sum + value.length, subjectText.length);
}
