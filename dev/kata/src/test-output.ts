// Reads the results of tests from the output of bats (TAP) and of genpolicy's cases.
import type { TestResult } from './part.js';

/** Reads TAP as bats writes it. The diagnostics below a failed test are its reason. */
export function readTap(output: string): readonly TestResult[] {
  const tests: { name: string; outcome: TestResult['outcome']; reason?: string }[] = [];
  for (const line of output.split('\n')) {
    const test = /^(not )?ok \d+ (.*?)(?: # skip ?(.*))?$/.exec(line);
    if (test !== null) {
      const [, not, name = '', skip] = test;
      if (skip !== undefined)
        tests.push({ name, outcome: 'skipped', ...(skip === '' ? {} : { reason: skip }) });
      else tests.push({ name, outcome: not === undefined ? 'passed' : 'failed' });
      continue;
    }
    const last = tests.at(-1);
    const diagnostic = /^# +(.*)$/.exec(line)?.[1];
    if (last?.outcome === 'failed' && diagnostic !== undefined)
      last.reason = last.reason === undefined ? diagnostic : `${last.reason} ${diagnostic}`;
  }
  return tests;
}

/**
 * Reads the lines of `genpolicy-cases --verbose`. A request that genpolicy refuses and the configuration allows is a
 * failure, and so is one that is denied as an allowed one is: the decision may be about something else than the case. One
 * that is only denied here is not counted as passed: docs/records/genpolicy-cases.md has the decision on each.
 */
export function readGenpolicyCases(output: string): readonly TestResult[] {
  return [...output.matchAll(/^(allowed|refused) by genpolicy, (passes|denied|unclear): (.+)$/gm)].map(
    ([, there, here, name = '']) => {
      if (here === 'unclear') return { name, outcome: 'failed', reason: 'no rule of its own denies it' };
      if ((there === 'allowed') === (here === 'passes')) return { name, outcome: 'passed' };
      return there === 'refused'
        ? { name, outcome: 'failed', reason: 'genpolicy refuses it' }
        : { name, outcome: 'skipped', reason: 'denied here: docs/records/genpolicy-cases.md' };
    },
  );
}
