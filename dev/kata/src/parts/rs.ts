// The part `rs`: the tests of runtime-rs's agent crate.
import { runCargo } from '../compile/cargo.js';
import type { PartContext, TestResult } from '../part.js';
import { readCargoTests } from '../test-output.js';

export async function runRs({ copy, work, printProgress }: PartContext): Promise<readonly TestResult[]> {
  printProgress("building runtime-rs's agent crate");
  const { code, output } = await runCargo({ copy, work }, ['test', '--locked', '--package', 'agent']);
  const results = readCargoTests(output);
  if (results.length === 0) throw new Error(`no test ran (exit code ${code}):\n${output.trimEnd()}`);
  return results;
}
