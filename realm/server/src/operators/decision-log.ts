import { oneWord } from '@kata-agent/x509';
import type { AuditedCall, AuditLog } from '@kata-agent/audit';
import type { Decision } from './operator-context.js';

/** The listeners of a realm, as its records name them; `signals`: of its process. */
type RealmListener = 'guests' | 'operators' | 'signals';

/** A kind of refusal, as `kata-agent-ctl explain` explains it. */
export type RealmRefusal = 'KA3301' | 'KA3302' | 'KA3303';

const connection = '(connection)';
const nothing = new Uint8Array();

/** Records the decisions of a realm. Equal refusals are counted, and a flood of them cannot displace other records. */
export class DecisionLog {
  readonly #audit: Pick<AuditLog, 'intent' | 'outcome' | 'observe' | 'refuse'>;

  constructor(audit: Pick<AuditLog, 'intent' | 'outcome' | 'observe' | 'refuse'>) {
    this.#audit = audit;
  }

  /**
   * Records a connection before it is served. Returns a function that records its end. Throws AuditUnavailable if it
   * cannot be recorded: then it must not be served.
   */
  async connection(listener: RealmListener, peer: string, reason: string): Promise<() => void> {
    const end = await this.act(listener, peer, connection, reason);
    return () => end('OK');
  }

  /**
   * Records an act before it is carried out, and then, by the returned function, its status. Throws AuditUnavailable if it
   * cannot be recorded.
   */
  async act(
    listener: RealmListener,
    peer: string,
    method: string,
    reason: string,
    more: Pick<AuditedCall, 'request'> = {},
  ): Promise<(code: string, message?: string) => void> {
    const call: AuditedCall = { listener, peer, method, payload: nothing, ...more };
    const intent = await this.#audit.intent(call, { outcome: 'allow', method, listener, reason });
    const begin = performance.now();
    let ended = false;
    return (code, message) => {
      if (ended) return;
      ended = true;
      const durationUs = Math.round((performance.now() - begin) * 1_000);
      this.#audit.outcome(intent, call, { code, durationUs, ...(message === undefined ? {} : { message }) });
    };
  }

  /** Records what has happened, without an intent before it. */
  note(listener: RealmListener, peer: string, method: string, reason: string, code: string): void {
    this.#audit.observe(
      { listener, peer, method, payload: nothing },
      { outcome: 'allow', method, listener, reason },
      { code, durationUs: 0, message: reason },
    );
  }

  /** Records a decision about a request of an operator. Equal ones are counted. */
  record({ operator, verb, guest, method, allowed, reason }: Decision): void {
    const about = guest === undefined ? '' : ` guest ${guest.name} ${guest.id}`;
    const what = method ?? `(${verb})`;
    const peer = `${oneWord(operator)}${about}`;
    if (!allowed) {
      this.refuse('operators', peer, 'KA3303', reason, what);
      return;
    }
    this.#audit.observe(
      { listener: 'operators', peer, method: what, payload: nothing, fold: `${what} ${peer}` },
      { outcome: 'allow', method: what, listener: 'operators', reason },
      { code: 'OK', durationUs: 0 },
    );
  }

  /**
   * Records a refusal: of a connection, or of a method. Equal ones are counted; detail that differs between them follows
   * ': ' in the reason.
   */
  refuse(
    listener: RealmListener,
    peer: string,
    code: RealmRefusal,
    reason: string,
    method: string = connection,
  ): void {
    this.#audit.refuse(
      { listener, peer, method, payload: nothing },
      { outcome: 'deny', code, method, listener, reason },
    );
  }
}
