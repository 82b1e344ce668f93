export type { Decision } from './decision.js';
export { compileGate, type Gate, type GateOptions } from './gate.js';
export type { RequestFacts } from './facts/request-facts.js';
export type { ContainerFacts, PeerFacts, RuleContext } from './rule-context.js';
