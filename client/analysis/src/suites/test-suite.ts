import type { Message } from '@bufbuild/protobuf';
import type { MethodName } from '@kata-agent/catalogue';
import type { Span } from '@kata-agent/config';
import type { RuleContainer, RuleImage, RulePeer, RuleContext } from '@kata-agent/gate';

/** `audit`: the call is allowed, and the record names a rule that would have denied it. */
export type Expectation = 'allow' | 'deny' | 'audit';

/** One request and its expected decision. */
export interface TestCase {
  readonly name: string;
  /** The position in the file. */
  readonly span: Span;
  readonly method: MethodName;
  readonly request: Message;
  /** Absent: the first listener of the configuration. */
  readonly listener?: string;
  /** Absent: the host. */
  readonly peer?: RulePeer;
  /** The state of the container in the request; absent: it runs, and claims nothing. */
  readonly container?: Partial<RuleContainer>;
  readonly sandbox?: RuleContext['sandbox'];
  /** The image of the container; absent: the guest does not have it yet, or does not pull it. */
  readonly image?: RuleImage;
  readonly expect: Expectation;
  /** The rule that must decide; absent: any rule, or the gate. */
  readonly rule?: string;
}

/** A file of cases. */
export interface TestSuite {
  readonly file: string;
  /** The configuration under test, relative to the file; absent: the caller names it. */
  readonly configuration?: string;
  /** `[api]` fragments that are applied in order, as by SetPolicy; relative to the file. */
  readonly fragments: readonly string[];
  readonly cases: readonly TestCase[];
}
