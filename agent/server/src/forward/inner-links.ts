import { Code, TtrpcError } from '@kata-agent/ttrpc';
import type { InnerAgent } from './inner-agent.js';
import type { InnerLink } from './inner-link.js';

/**
 * The connections to the inner agent: one for each connection of a caller that has made a call, closed with it. ttRPC has no
 * frame that cancels a call, so that a caller who goes away can end its calls only by its connection, as it would without this
 * agent in between; and a call that the inner agent never answers occupies no connection of another caller.
 */
export class InnerLinks<Caller extends object> {
  readonly #agent: Pick<InnerAgent, 'connect'>;
  readonly #links = new Map<Caller, Promise<InnerLink>>();
  readonly #gone = new WeakSet<Caller>();
  #closed = false;

  constructor(agent: Pick<InnerAgent, 'connect'>) {
    this.#agent = agent;
  }

  /** The number of connections. */
  get size(): number {
    return this.#links.size;
  }

  /**
   * Returns the connection for a caller; a lost one is replaced.
   *
   * @throws InnerFault if the inner agent is not reached, CANCELED if the caller is gone.
   */
  async of(caller: Caller): Promise<InnerLink> {
    if (this.#closed || this.#gone.has(caller))
      throw new TtrpcError(
        Code.Canceled,
        'the caller was gone, or this agent ended, before the call was forwarded',
      );
    const known = this.#links.get(caller);
    if (known !== undefined) {
      const link = await known;
      if (link.isOpen) return link;
      // Another call may have replaced it meanwhile.
      if (this.#links.get(caller) === known) this.#links.delete(caller);
      return this.of(caller);
    }
    const connecting = this.#agent.connect().then(({ link }) => link);
    this.#links.set(caller, connecting);
    connecting.catch(() => {
      // The next call tries again.
      if (this.#links.get(caller) === connecting) this.#links.delete(caller);
    });
    return connecting;
  }

  /** Calls `done` once when the inner agent has read what a caller has sent so far, or the connection is closed. */
  whenRead(caller: Caller, done: () => void): void {
    const link = this.#links.get(caller);
    if (link === undefined) done();
    else link.then((open) => open.whenRead(done), done);
  }

  /** Closes the connection of a caller that is gone. */
  left(caller: Caller): void {
    this.#gone.add(caller);
    const link = this.#links.get(caller);
    this.#links.delete(caller);
    if (link !== undefined) closeWhenOpen(link);
  }

  close(): void {
    this.#closed = true;
    for (const link of this.#links.values()) closeWhenOpen(link);
    this.#links.clear();
  }
}

function closeWhenOpen(link: Promise<InnerLink>): void {
  link.then(
    (open) => open.close(),
    () => undefined,
  );
}
