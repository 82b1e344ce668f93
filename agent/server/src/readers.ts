import { readBytes } from '@kata-agent/catalogue';
import { create } from '@bufbuild/protobuf';
import type { ListenerSettings } from '@kata-agent/config';
import type { StreamName, StreamRef } from '@kata-agent/guest';
import { ReadStreamRequestSchema } from '@kata-agent/protocol/agent';
import type { Caller } from './caller.js';
import { expectedPeers } from './listeners/peer.js';
import type { Policy } from './policy/policy.js';
import { type GuestStatus, ruleContext } from './policy/rule-context.js';

const methods: Readonly<Record<StreamName, string>> = { stdout: 'ReadStdout', stderr: 'ReadStderr' };

/** Returns the stream that a method reads; undefined if none. */
export function streamOf(method: string): StreamName | undefined {
  if (method === methods.stdout) return 'stdout';
  return method === methods.stderr ? 'stderr' : undefined;
}

/** Operators of one server that are remembered, the last ones: a server can name any. */
const maxOperators = 16;

/** The reader in rules. */
type Reader = Pick<Caller, 'listener' | 'identity'>;

/** A reader, as the guest distinguishes them. */
export function readerName({ listener, identity }: Reader): string {
  return JSON.stringify([listener, identity]);
}

/**
 * Determines who may read a workload's output (R15, S5). With lists alone that is known in advance. Rules see each
 * read: they are evaluated on a typical read of the connected peers, and of the peers that a listener accepts.
 */
export class Readers {
  readonly #policy: Policy;
  readonly #listeners: readonly ListenerSettings[];
  /** The connections, with the operators for whom their servers have made calls. */
  readonly #connected = new Map<Caller, Map<string, Reader>>();

  constructor(policy: Policy, listeners: readonly ListenerSettings[]) {
    this.#policy = policy;
    this.#listeners = listeners;
  }

  joined(caller: Caller): void {
    // The server of such a connection reads nothing: its operators have connections of their own.
    if (caller.realm?.relay !== 'operator-tls') this.#connected.set(caller, new Map());
  }

  /** Notes an operator for whom a server makes a call: it may come back to read. */
  named(connection: Caller, operator: Caller): void {
    const operators = this.#connected.get(connection);
    if (operators === undefined || operator === connection) return;
    const name = readerName(operator);
    operators.delete(name);
    operators.set(name, operator);
    const [oldest] = operators.keys();
    if (operators.size > maxOperators && oldest !== undefined) operators.delete(oldest);
  }

  left(caller: Caller): void {
    this.#connected.delete(caller);
  }

  /** Reports whether any peer may read a stream, as far as that is known before a read. */
  mayRead({ containerId, execId, stream }: StreamRef, guest: GuestStatus): boolean {
    const method = methods[stream];
    const policy = this.#policy;
    const request = create(ReadStreamRequestSchema, { containerId, execId, len: readBytes });
    return this.#listeners.some((listener) => {
      const listed = policy.decide(listener.name, method);
      if (listed.outcome === 'deny' || !policy.readsRequests(method)) return listed.outcome === 'allow';
      return this.#candidates(listener).some((caller) => {
        const context = () => ruleContext(request, caller, guest);
        return policy.authorize(listener.name, method, request, context).outcome === 'allow';
      });
    });
  }

  /** Returns one peer of each kind that rules can distinguish. */
  #candidates(listener: ListenerSettings): readonly Reader[] {
    const { name } = listener;
    const expected = expectedPeers(listener).map((identity) => ({ listener: name, identity }));
    const connected = [...this.#connected].flatMap(([caller, operators]) =>
      caller.listener === name ? [caller, ...operators.values()] : [],
    );
    const all: readonly Reader[] = [...expected, ...connected];
    return [...new Map(all.map((reader) => [readerName(reader), reader])).values()];
  }
}
