export type { ExpectedCall } from './calls/expected-call.js';
export type { Feature } from './calls/feature.js';
export type { Ask } from './write/ask.js';
export { type Entry, type FactName, originKey } from './write/fact-name.js';
export type { Plan, PlannedRule, Unconstrained, Wanted } from './write/plan.js';
export { planConfiguration, type PlanOptions } from './write/plan-configuration.js';
export { renderPlan } from './write/render-plan.js';
export { writeConfiguration, type WriteOptions } from './write/write-configuration.js';
