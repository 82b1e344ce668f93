import type { ExpectedCall } from '@kata-agent/workloads';
import type { Ask } from '../write/plan.js';

/** An expected call, and what rules are made of it. */
export interface AskedCall {
  readonly call: ExpectedCall;
  readonly ask: Ask;
}
