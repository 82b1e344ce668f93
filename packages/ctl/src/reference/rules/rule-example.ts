import type { JsonObject } from '@bufbuild/protobuf';
import type { MethodName } from '@kata-agent/catalogue';
import type { ContainerFacts } from '@kata-agent/gate';

/** A call, as far as an example needs it; what is not said is empty. */
export interface ExampleCall {
  /** In protobuf's JSON, with the names of the .proto. */
  readonly request?: JsonObject;
  readonly container?: Partial<Omit<ContainerFacts, 'claimed'>> & { readonly image?: string };
  /** `server_addr` if absent. */
  readonly listener?: string;
  /** The caller's CID; 2, the host, if absent. */
  readonly cid?: number;
  /** The containers of the pod. */
  readonly containers?: readonly string[];
}

/** A rule for one kind of request, with a call that passes and one that does not. A test runs both. */
interface RuleExample {
  /** What it demands, as a sentence. */
  readonly says: string;
  readonly expression: string;
  readonly passes: ExampleCall;
  readonly refused: ExampleCall;
}

/** The examples of one area. */
export type RuleExamples<M extends MethodName> = { readonly [K in M]: RuleExample };
