/** The part of a certificate that is wrong. */
export type CertificateFault = 'encoding' | 'version' | 'name' | 'time' | 'extension' | 'spiffe';

/** A certificate that is not valid. Its owner is refused: nothing of such a certificate is believed. */
export class CertificateError extends Error {
  readonly fault: CertificateFault;

  constructor(fault: CertificateFault, message: string) {
    super(message);
    this.name = 'CertificateError';
    this.fault = fault;
  }
}
