import type { Message } from '@bufbuild/protobuf';
import type { MethodName } from '@kata-agent/catalogue';
import type { Span } from '@kata-agent/config';
import type { ContainerFacts, PeerFacts, RuleContext } from '@kata-agent/gate';

/** `audit`: it passes, and the record says that a rule would have refused it. */
export type Verdict = 'allow' | 'deny' | 'audit';

/** One request, and what has to become of it. */
export interface TestCase {
  readonly name: string;
  /** Where it is written. */
  readonly span: Span;
  readonly method: MethodName;
  readonly request: Message;
  /** Absent: the first that the configuration has. */
  readonly listener?: string;
  /** Absent: the host. */
  readonly peer?: PeerFacts;
  /** What the agent knows of the container that the request names; absent: that it runs, and claims nothing. */
  readonly container?: Partial<ContainerFacts>;
  readonly sandbox?: RuleContext['sandbox'];
  readonly expect: Verdict;
  /** The rule that has to decide; absent: any, or the lists. */
  readonly rule?: string;
}

/** A file of cases. */
export interface TestSuite {
  readonly file: string;
  /** The configuration that they are about, relative to the file; absent: the caller names it. */
  readonly configuration?: string;
  /** `[api]` fragments that are applied to it in order, as SetPolicy would; relative to the file. */
  readonly fragments: readonly string[];
  readonly cases: readonly TestCase[];
}
