import { inParallel } from '@kata-agent/base';
import { createHash } from 'node:crypto';
import { Management } from '@kata-agent/protocol/management';
import { type Channel, codeName, createClient, TtrpcError } from '@kata-agent/ttrpc';
import {
  canonicalName,
  canonicalSerial,
  CertificateError,
  certificatesOfPem,
  namesPeer,
  NameSyntaxError,
  parseCertificate,
  parsePeerEntry,
  PeerEntryError,
} from '@kata-agent/x509';
import type { RealmLog } from '../realm-log.js';
import type { Revocation, RevocationList, RevokedPeer } from '../store/revocations.js';

/** Calls under way at once. */
const atOnce = 64;

/** A connected guest. */
interface Connected {
  readonly id: string;
  readonly name: string;
  readonly entry: string;
  readonly channel: Channel;
}

interface Options<Guest extends Connected> {
  /** Returns the guests that are connected, shown or not. */
  readonly connected: () => Iterable<Guest>;
  /** Ends the connection of a guest that does not accept a revocation. */
  readonly end: (guest: Guest, why: string) => void;
  readonly revocations: Pick<RevocationList, 'check' | 'add' | 'settled' | 'list'>;
  readonly filter: Pick<RevocationFilter, 'allows'>;
  readonly log: RealmLog;
  /** Limit of a call. */
  readonly callMs: number;
}

/** Says revocations to the guests of the entry that they are for. */
export class GuestRevocations<Guest extends Connected> {
  readonly #options: Options<Guest>;

  constructor(options: Options<Guest>) {
    this.#options = options;
  }

  /**
   * Revokes in a guest, in the others of its entry, and in those to come. Returns how many connections the guest has closed.
   * Throws TooManyRevocations, or a TtrpcError of the guest; then nothing is stored.
   *
   * @param operator The name of the operator that revokes.
   */
  async revoke(target: Guest, revoked: RevokedPeer, operator: string): Promise<number> {
    const { revocations, callMs } = this.#options;
    const { entry, channel } = target;
    const by = createHash('sha256').update(operator).digest('hex');
    const revocation = { ...revoked, entry, at: new Date().toISOString(), by };
    // Before the guest receives it: it has as many places as the entry.
    revocations.check(revocation);
    const { closed } = await createClient(Management, channel).revokePeer(
      { ...revoked },
      { timeoutMs: callMs },
    );
    await revocations.add(revocation);
    this.say(revocation, target);
    return closed;
  }

  /** Broadcasts a revocation to the guests of its entry, also to those that are being accepted: they may know only earlier ones. */
  say(revocation: Revocation, except?: Guest): void {
    const { connected, end, callMs, log, filter } = this.#options;
    const { entry, peer, serial, issuer } = revocation;
    if (!filter.allows(revocation)) return;
    for (const guest of connected()) {
      if (guest === except || guest.entry !== entry) continue;
      const management = createClient(Management, guest.channel);
      management.revokePeer({ peer, serial, issuer }, { timeoutMs: callMs }).catch((error: Error) => {
        const { name, id } = guest;
        log('warn', 'a guest does not accept a revocation', { guest: name, id, why: error.message });
        end(guest, 'it does not accept a revocation of its entry');
      });
    }
  }

  /** Says all revocations of its entry to a guest. Throws an Error if it does not accept one. */
  async repeat({ channel, entry }: Guest): Promise<void> {
    const { revocations, filter, callMs } = this.#options;
    await revocations.settled();
    const own = revocations.list(entry).filter((each) => filter.allows(each));
    await repeatRevocations(channel, own, callMs);
  }
}

/**
 * Says revocations to a guest, which has forgotten them with its last boot. Throws an Error if the guest does not accept
 * one: a revoked operator could call it.
 */
async function repeatRevocations(
  channel: Channel,
  revocations: readonly RevokedPeer[],
  timeoutMs: number,
): Promise<void> {
  const management = createClient(Management, channel);
  await inParallel(revocations, atOnce, async ({ peer, serial, issuer }) => {
    await management.revokePeer({ peer, serial, issuer }, { timeoutMs });
  }).catch((error: unknown) => {
    const why = error instanceof TtrpcError ? codeName(error.code) : String(error);
    throw new Error(`it does not accept the revocations of its entry (${why})`, { cause: error });
  });
}

/** What RevokePeer names; what it does not name is empty. */
interface Named {
  readonly peer?: string;
  readonly serial?: string;
  readonly issuer?: string;
}

/**
 * Reports whether a revocation names the certificate of the realm: a guest that obeys it loses its only connection, and a
 * realm that says it again to each guest has lost all of them.
 *
 * @param pem The realm's certificate, and those of intermediate CAs.
 */
export function revokesRealm({ peer = '', serial = '', issuer = '' }: Named, pem: string): boolean {
  try {
    const [bytes] = certificatesOfPem(pem);
    if (bytes === undefined) return false;
    const certificate = parseCertificate(bytes);
    return peer === ''
      ? canonicalSerial(serial) === certificate.serial && canonicalName(issuer) === certificate.issuerText
      : namesPeer(parsePeerEntry(peer), certificate);
  } catch (error) {
    // A guest accepts neither such a certificate nor such a revocation.
    if ([CertificateError, NameSyntaxError, PeerEntryError].some((kind) => error instanceof kind))
      return false;
    throw error;
  }
}

interface RevocationFilterOptions {
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
  readonly #options: RevocationFilterOptions;
  #certificate = '';
  /** Answers for this certificate: a certificate is parsed for each. */
  #known = new WeakMap<RevokedPeer, boolean>();

  constructor(options: RevocationFilterOptions) {
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
