import type { Bound } from './budget.js';

/** What `npm run bench -- --budget` measures, and CI. Memory does not depend on other load, so its bound is 1.3 times what was measured. */
export const budget: readonly Bound[] = [
  { part: 'container', what: 'create and start of a container, crun', measured: 1.48, bound: { max: 2.4 } },
  { part: 'container', what: 'exec in a container, crun', measured: 1.76, bound: { max: 2.8 } },
  { part: 'container', what: 'removal of a container, crun', measured: 0.67, bound: { max: 1.1 } },
  { part: 'calls', what: 'WaitProcess, 16 callers, log on', measured: 0.93, bound: { min: 0.58 } },
  { part: 'calls', what: 'ReadStdout 32 KiB, 16 callers, log on', measured: 1.87, bound: { min: 1.1 } },
  { part: 'startup', what: 'the bundle: start to ready', measured: 2.68, bound: { max: 4.3 } },
  { part: 'startup', what: 'the bundle: resident memory', measured: 1.95, bound: { max: 2.5 } },
];
