import type { JsonObject } from '@bufbuild/protobuf';
import type { MethodName } from '@kata-agent/catalogue';
import type { RuleContainer } from '@kata-agent/gate';

/** A call of an example; absent fields are empty. */
export interface ExampleCall {
  /** In protobuf JSON, with the field names of the .proto file. */
  readonly request?: JsonObject;
  readonly container?: Partial<Omit<RuleContainer, 'claimed'>> & { readonly image?: string };
  /** `server_addr` if absent. */
  readonly listener?: string;
  /** The peer's CID; 2, the host, if absent. */
  readonly cid?: number;
  /** The containers of the pod. */
  readonly containers?: readonly string[];
}

/** A rule for one method, with one call that it allows and one that it denies. A test evaluates both. */
interface RuleExample {
  /** What the rule requires, as a sentence. */
  readonly description: string;
  readonly expression: string;
  readonly passes: ExampleCall;
  readonly refused: ExampleCall;
}

/** Examples for a set of methods. */
export type RuleExamples<M extends MethodName> = { readonly [K in M]: RuleExample };
