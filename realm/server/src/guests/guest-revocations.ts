import { createHash } from 'node:crypto';
import { Management } from '@kata-agent/protocol/management';
import { type Channel, createClient } from '@kata-agent/ttrpc';
import type { RealmLog } from '../log/realm-log.js';
import type { Revocation, RevocationList, RevokedPeer } from '../store/revocations.js';
import type { RevocationFilter } from './revocation-filter.js';
import { repeatRevocations } from './repeat-revocations.js';

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
