import { create } from '@bufbuild/protobuf';
import type { ListenerSettings } from '@kata-agent/config';
import type { StreamName, StreamRef } from '@kata-agent/guest';
import { ReadStreamRequestSchema } from '@kata-agent/protocol/agent';
import type { Caller } from './listeners/caller.js';
import { expectedPeers } from './listeners/peer.js';
import type { Policy } from './policy.js';
import { type GuestFacts, ruleContext } from './rule-context.js';

const methods: Readonly<Record<StreamName, string>> = { stdout: 'ReadStdout', stderr: 'ReadStderr' };

/** Bytes of a read, as both of Kata's runtimes ask for them. */
const usualLength = 32 * 1024;

/** The stream that a method reads; undefined: it reads none. */
export function streamOf(method: string): StreamName | undefined {
  if (method === methods.stdout) return 'stdout';
  return method === methods.stderr ? 'stderr' : undefined;
}

/** What rules know of a reader. */
type Reader = Pick<Caller, 'listener' | 'identity'>;

/** A reader, as the guest tells one from another. */
export function readerName({ listener, identity }: Reader): string {
  return JSON.stringify([listener, identity]);
}

/**
 * Who may read what a workload writes (R15, S5). With lists alone that is known beforehand. A rule looks at each read, so
 * it is asked what it would say to a usual read of those who are connected, and of those whom a listener is for.
 */
export class Readers {
  readonly #policy: Policy;
  readonly #listeners: readonly ListenerSettings[];
  readonly #connected = new Set<Caller>();

  constructor(policy: Policy, listeners: readonly ListenerSettings[]) {
    this.#policy = policy;
    this.#listeners = listeners;
  }

  joined(caller: Caller): void {
    this.#connected.add(caller);
  }

  left(caller: Caller): void {
    this.#connected.delete(caller);
  }

  /** Whether somebody may read a stream, as far as it can be told before he does. */
  mayRead({ containerId, execId, stream }: StreamRef, guest: GuestFacts): boolean {
    const method = methods[stream];
    const policy = this.#policy;
    const request = create(ReadStreamRequestSchema, { containerId, execId, len: usualLength });
    return this.#listeners.some((listener) => {
      const listed = policy.decide(listener.name, method);
      if (listed.outcome === 'deny' || !policy.ruled(method)) return listed.outcome === 'allow';
      return this.#candidates(listener).some(
        (caller) => policy.judge(listed, request, ruleContext(request, caller, guest)).outcome === 'allow',
      );
    });
  }

  /** One of each that rules can tell apart. */
  #candidates(listener: ListenerSettings): readonly Reader[] {
    const { name } = listener;
    const expected = expectedPeers(listener).map((identity) => ({ listener: name, identity }));
    const connected = [...this.#connected].filter((caller) => caller.listener === name);
    const all: readonly Reader[] = [...expected, ...connected];
    return [...new Map(all.map((reader) => [readerName(reader), reader])).values()];
  }
}
