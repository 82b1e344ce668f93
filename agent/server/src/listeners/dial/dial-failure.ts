import type { Certificate } from '@kata-agent/x509';

/** An attempt that gave no connection. The message has no text that the server chose. */
export class DialFailure extends Error {
  /** The server was reached, and is not accepted; otherwise it was not reached. */
  readonly refused: boolean;
  /** Of a server that `server_ca` and its name verify. */
  readonly certificate?: Certificate;

  constructor(message: string, options: { readonly refused: boolean; readonly certificate?: Certificate }) {
    super(message);
    this.name = 'DialFailure';
    this.refused = options.refused;
    if (options.certificate !== undefined) this.certificate = options.certificate;
  }
}
