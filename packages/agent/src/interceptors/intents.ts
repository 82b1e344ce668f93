import type { HandlerContext } from '@kata-agent/ttrpc';
import type { Caller } from '../listeners/caller.js';

/** Resolves once a call's intent is on the disk; after that the call may change something (S19). */
export type Begin = () => Promise<void>;

/** How the calls under way begin: what records them puts it here, and what carries them out takes it. */
export class Intents {
  readonly #begins = new WeakMap<HandlerContext<Caller>, Begin>();

  add(context: HandlerContext<Caller>, begin: Begin): void {
    this.#begins.set(context, begin);
  }

  /** Throws when nobody records this call: then it must not change anything. */
  of(context: HandlerContext<Caller>): Begin {
    const begin = this.#begins.get(context);
    if (begin === undefined) throw new Error(`${context.method}: nobody records this call`);
    return begin;
  }
}
