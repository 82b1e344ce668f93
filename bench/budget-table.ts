import type { Bound } from './budget.js';

/** What `npm run bench -- --budget` measures, and CI. Memory does not depend on other load, so its bound is 1.3 times what was measured. */
export const budget: readonly Bound[] = [
  { part: 'container', what: 'create and start of a container, crun', measured: 1.76, bound: { max: 2.8 } },
  { part: 'container', what: 'exec in a container, crun', measured: 2.01, bound: { max: 3.2 } },
  { part: 'container', what: 'removal of a container, crun', measured: 1.13, bound: { max: 1.8 } },
  { part: 'calls', what: 'WaitProcess, 16 callers, log on', measured: 0.7, bound: { min: 0.44 } },
  { part: 'calls', what: 'ReadStdout 32 KiB, 16 callers, log on', measured: 1.56, bound: { min: 0.97 } },
  { part: 'startup', what: 'the bundle: start to ready', measured: 3.5, bound: { max: 5.6 } },
  { part: 'startup', what: 'the bundle: resident memory', measured: 1.87, bound: { max: 2.4 } },
];
