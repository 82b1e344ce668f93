import { methodNames } from '@kata-agent/catalogue';
import { compileGate } from '@kata-agent/gate';

import { configuration } from './configuration.js';
import { median } from './median.js';
import type { Row } from './row.js';

/** Measures a decision of the gate in ns: all methods in turn, and an unknown one. */
export async function measureDecision(quick: boolean): Promise<Row[]> {
  const gate = compileGate(await configuration(), { listeners: ['default'] });
  const names = [...methodNames, 'NoSuchMethod'];
  const rounds = quick ? 20_000 : 100_000;
  let allowed = 0;
  const pass = (): number => {
    const begin = process.hrtime.bigint();
    for (let round = 0; round < rounds; round += 1) {
      for (const name of names) if (gate.decide('default', name).outcome === 'allow') allowed += 1;
    }
    return Number(process.hrtime.bigint() - begin) / (rounds * names.length);
  };
  pass();
  const nanoseconds = median(Array.from({ length: 7 }, pass));
  if (allowed === 0) throw new Error('the gate allows nothing: the benchmark measures the wrong path');
  return [{ what: "the gate's decision", unit: 'ns', ours: nanoseconds, goal: { max: 100 } }];
}
