import type { RevokedPeer } from '../store/revocations.js';

interface Options {
  /** Returns the realm's certificate, as PEM. */
  readonly certificate: () => string;
  /** Reports whether a revocation names this certificate. */
  readonly names: (revoked: RevokedPeer, certificate: string) => boolean;
  /** Called once for each revocation that is not sent to guests. */
  readonly onOwn: () => void;
}

/**
 * Selects the revocations that are sent to guests: those that do not name the realm itself. An operator cannot ask for one, but a
 * bus or a file can contain one, and each guest that applies it loses its only connection until its next boot.
 */
export class RevocationFilter {
  readonly #options: Options;
  #certificate = '';
  /** Answers for this certificate: a certificate is parsed for each. */
  #known = new WeakMap<RevokedPeer, boolean>();

  constructor(options: Options) {
    this.#options = options;
  }

  /** Reports whether a revocation is sent to guests. */
  allows(revoked: RevokedPeer): boolean {
    const certificate = this.#options.certificate();
    if (certificate !== this.#certificate) {
      this.#certificate = certificate;
      this.#known = new WeakMap();
    }
    const known = this.#known.get(revoked);
    if (known !== undefined) return known;
    const isOwn = this.#options.names(revoked, certificate);
    this.#known.set(revoked, !isOwn);
    if (isOwn) this.#options.onOwn();
    return !isOwn;
  }
}
