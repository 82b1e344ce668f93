import type { Decision } from '@kata-agent/gate';
import type { HandlerContext } from '@kata-agent/ttrpc';
import type { Caller } from '../listeners/caller.js';
import { healthService } from './admission.js';

/** What was decided about the calls under way: the rules write it, the record reads it. */
export class Decisions {
  readonly #decisions = new WeakMap<HandlerContext<Caller>, Decision>();

  add(context: HandlerContext<Caller>, decision: Decision): void {
    this.#decisions.set(context, decision);
  }

  /** Throws when nobody decided: then the call must not go on. */
  on(context: HandlerContext<Caller>): Decision {
    const { service, method, connection } = context;
    const decision = this.#decisions.get(context);
    if (decision !== undefined) return decision;
    if (service !== healthService) throw new Error(`${method}: nothing was decided about this call`);
    return { outcome: 'allow', method, listener: connection.listener, reason: 'Health is always served' };
  }
}
