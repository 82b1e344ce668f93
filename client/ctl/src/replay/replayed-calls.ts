import type { DescMessage, DescMethodUnary, MessageInitShape, MessageShape } from '@bufbuild/protobuf';
import { type Phase, type RuntimeCall, runtimeCalls } from '@kata-agent/catalogue';
import { type Agent, CallError } from '@kata-agent/cli';

/** The interval of a runtime's health checks, in milliseconds (Kata 4.1: monitor.go, health_check.rs). */
export const checkIntervalMs: Readonly<Record<Runtime, number>> = { go: 5_000, rs: 30_000 };

/** The delay of a runtime after a failed GetOOMEvent, in milliseconds. */
export const oomPauseMs: Readonly<Record<Runtime, number>> = { go: 1_000, rs: 0 };

/** One call of a replay, and its result. */
export interface RecordedCall {
  /** `beside`: concurrent with the others; `pod`: expected from a pod's manifest. */
  readonly phase: Phase | 'beside' | 'pod';
  readonly method: string;
  /** The container, or the name of a step. Empty: the sandbox. */
  readonly about: string;
  /** `OK`, or the name of the status. */
  readonly status: string;
  /** The agent's error message. */
  readonly serverMessage?: string;
}

/** Makes calls and stores their results. */
export class ReplayedCalls {
  readonly #agent: Agent;
  readonly #onCall: (call: RecordedCall) => void;
  readonly #calls: RecordedCall[] = [];

  constructor(agent: Agent, onCall: (call: RecordedCall) => void) {
    this.#agent = agent;
    this.#onCall = onCall;
  }

  get calls(): readonly RecordedCall[] {
    return this.#calls;
  }

  /** As `Agent.call`; rejects with its CallError. */
  async call<I extends DescMessage, O extends DescMessage>(
    at: Pick<RecordedCall, 'phase' | 'about'>,
    method: DescMethodUnary<I, O>,
    request: MessageInitShape<I>,
    signal?: AbortSignal,
  ): Promise<MessageShape<O>> {
    try {
      const reply = await this.#agent.call(method, request, signal === undefined ? {} : { signal });
      this.#keep({ ...at, method: method.name, status: 'OK' });
      return reply;
    } catch (error) {
      // The caller stopped waiting: there is no answer to store.
      if (error instanceof CallError && signal?.aborted !== true)
        this.#keep({ ...at, method: method.name, status: error.status, serverMessage: error.serverMessage });
      throw error;
    }
  }

  /** Repeated calls that are recorded as one, such as the reads of a stream. */
  get quiet(): Agent['call'] {
    return (method, request, options) => this.#agent.call(method, request, options);
  }

  /** Reports whether the connection has ended. */
  gone(): Promise<boolean> {
    return this.#agent.gone();
  }

  note(call: RecordedCall): void {
    this.#keep(call);
  }

  #keep(call: RecordedCall): void {
    this.#calls.push(call);
    this.#onCall(call);
  }
}

/** Kata's Go runtime, or runtime-rs. */
export type Runtime = 'go' | 'rs';

/** Returns the calls of a runtime in a phase, in order. */
export function callsOf(runtime: Runtime, phase: Phase): readonly RuntimeCall[] {
  return runtimeCalls[runtime].filter((row) => row.phase === phase);
}
