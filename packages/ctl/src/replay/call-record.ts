import type { DescMessage, DescMethodUnary, MessageInitShape, MessageShape } from '@bufbuild/protobuf';
import type { Phase } from '@kata-agent/catalogue';
import type { Agent } from '../connection/agent.js';
import { CallError } from '../connection/call-error.js';

/** One call of a replay, and what became of it. */
export interface RecordedCall {
  /** `beside`: at no time of its own; `pod`: of the calls that a pod's description foretells. */
  readonly phase: Phase | 'beside' | 'pod';
  readonly method: string;
  /** Of the container, or a step's name. Empty: the sandbox. */
  readonly about: string;
  /** `OK`, or the status. */
  readonly status: string;
  /** What the agent said of its refusal. */
  readonly said?: string;
}

/** Makes calls, and keeps what became of each. */
export class CallRecord {
  readonly #agent: Agent;
  readonly #told: (call: RecordedCall) => void;
  readonly #calls: RecordedCall[] = [];

  constructor(agent: Agent, told: (call: RecordedCall) => void) {
    this.#agent = agent;
    this.#told = told;
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
      // What we no longer wait for is no answer.
      if (error instanceof CallError && signal?.aborted !== true)
        this.#keep({ ...at, method: method.name, status: error.status, said: error.said });
      throw error;
    }
  }

  /** Calls that are one to whoever reads the record, as the reads of a stream. */
  get quiet(): Agent['call'] {
    return (method, request, options) => this.#agent.call(method, request, options);
  }

  /** Whether the connection has ended. */
  gone(): Promise<boolean> {
    return this.#agent.gone();
  }

  note(call: RecordedCall): void {
    this.#keep(call);
  }

  #keep(call: RecordedCall): void {
    this.#calls.push(call);
    this.#told(call);
  }
}
