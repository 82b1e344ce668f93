import type { OperatorVerb } from '@kata-agent/catalogue';
import type { Duplex } from 'node:stream';
import { callAtEnd } from '@kata-agent/connection-limits';
import type { Operator } from '../authorization/operator-rights.js';
import { type OfferedPipe, RemoteRefusedError } from '../bus/bus.js';
import type { Guest } from '../guest.js';

import type { OpenUses } from './open-uses.js';
import { httpErrorOf, type OperatorChecks } from './operator-checks.js';
import type {
  OperatorContext,
  OperatorSource,
  RemoteOperator,
  RemoteUse,
  StoredGuest,
} from './operator-context.js';
import type { Revocation } from '../http/revocation.js';
import { splice, type SplicedBytes } from './splice.js';
import type { TrustedRelay } from './trusted-relay.js';

export interface RemoteOperatorsParts {
  readonly context: OperatorContext;
  readonly checks: OperatorChecks;
  readonly uses: OpenUses;
  readonly trusted: TrustedRelay;
  readonly bytes: SplicedBytes;
}

/** What this replica does in its guests for operators of other replicas. It decides again. */
export class RemoteOperators {
  readonly #parts: RemoteOperatorsParts;

  constructor(parts: RemoteOperatorsParts) {
    this.#parts = parts;
  }

  /** Serves an operator at the other end of a pipe. Throws a RemoteRefusedError if it is not allowed here. */
  serve(remote: RemoteUse, pipe: OfferedPipe): void {
    const { context, uses } = this.#parts;
    const { guest, source, certificates, notAfter } = remote;
    const operator = this.#operator(source, 'connect', guest);
    let stream: Duplex | undefined;
    let isOver = false;
    const close = (): void => {
      isOver = true;
      if (stream === undefined) pipe.abort('the operator may no longer connect');
      else stream.destroy();
    };
    // Places of their own: another replica cannot take those of an operator that is connected here.
    const by = `${operator.name} by another replica`;
    const use = this.#refusing(() => uses.begin({ kind: guest.relay, source, operator, guest, close }, by));
    const cancel = callAtEnd(notAfter - Date.now(), close);
    const open = (): Duplex => {
      use.opened();
      stream = pipe.open();
      return stream;
    };
    const served =
      guest.relay === 'trusted'
        ? this.#serveTrusted(remote, operator, open)
        : this.#serveSpliced(guest, certificates, pipe, operator, () => (isOver ? undefined : open()));
    void served
      .catch((error: unknown) => {
        context.report(`no connection to ${guest.name} could be opened`, error);
        pipe.abort('the guest did not open a connection');
      })
      .finally(() => {
        cancel();
        use.end();
      });
  }

  /** Revokes. Rejects with a RemoteRefusedError. */
  async revoke({ guest, source }: RemoteUse, revocation: Revocation): Promise<{ readonly closed: number }> {
    const { context, checks } = this.#parts;
    const operator = this.#operator(source, 'revoke', guest);
    try {
      checks.revocation(revocation);
      checks.allowed(operator, 'revoke', guest, JSON.stringify(revocation));
      return await context.revoke(guest, revocation, operator);
    } catch (error) {
      throw this.#refusalOf(error);
    }
  }

  /**
   * Passes a guest's connection that has come here on to an operator of another replica, while it is allowed here. Throws a
   * RemoteRefusedError.
   */
  joined(
    guest: StoredGuest,
    { source, notAfter }: RemoteOperator,
    { pipe, stream }: { readonly pipe: Duplex; readonly stream: Duplex },
  ): void {
    const { uses, bytes } = this.#parts;
    const operator = this.#operator(source, 'connect', guest);
    const close = (): void => void pipe.destroy();
    const remove = uses.add({ kind: 'operator-tls', source, operator, guest, close });
    const cancel = callAtEnd(notAfter - Date.now(), close);
    stream.on('error', () => undefined);
    void splice(pipe, stream, bytes).finally(() => {
      cancel();
      remove();
    });
  }

  async #serveTrusted({ guest, source }: RemoteUse, operator: Operator, open: () => Duplex): Promise<void> {
    const { checks, trusted } = this.#parts;
    checks.allowed(operator, 'connect', guest, 'connected by another replica, the relay is trusted');
    await trusted.serve(open(), { source, operator: operator.name, guest });
  }

  async #serveSpliced(
    guest: Guest,
    certificates: readonly Buffer[],
    pipe: OfferedPipe,
    operator: Operator,
    open: () => Duplex | undefined,
  ): Promise<void> {
    const { context, checks, bytes } = this.#parts;
    const opened = await context.openConnectionFor(guest, certificates, pipe);
    checks.allowed(operator, 'connect', guest, 'connected by another replica');
    // A third replica has joined it to the pipe.
    if (opened === undefined) return;
    opened.on('error', () => undefined);
    const stream = open();
    if (stream === undefined) opened.destroy();
    else await splice(stream, opened, bytes);
  }

  #operator(source: OperatorSource, verb: OperatorVerb, guest: StoredGuest): Operator {
    const { checks } = this.#parts;
    return this.#refusing(() => {
      const operator = checks.operator(source);
      checks.guest(operator, verb, guest.name, guest);
      return operator;
    });
  }

  #refusing<T>(decide: () => T): T {
    try {
      return decide();
    } catch (error) {
      throw this.#refusalOf(error);
    }
  }

  #refusalOf(error: unknown): RemoteRefusedError {
    const { status, code, message } = httpErrorOf(error, this.#parts.context.report);
    return new RemoteRefusedError({ status, code, message });
  }
}
