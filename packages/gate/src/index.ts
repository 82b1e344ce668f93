export type { Decision } from './decision.js';
export { compileGate, type Gate, type GateOptions } from './gate.js';
