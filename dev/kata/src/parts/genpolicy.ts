// The part `genpolicy`: the request cases of genpolicy's tests against generated configurations.
import { join } from 'node:path';
import { root } from '@kata-agent/setup/bootstrap';
import { given, type PartContext, type TestResult } from '../part.js';
import { runProgram } from '../program.js';
import { readGenpolicyCases } from '../test-output.js';

export async function runGenpolicy({ source }: PartContext): Promise<readonly TestResult[]> {
  const program = join(root, 'tests', 'dist', 'interop', 'genpolicy-cases.js');
  const { code, output } = await runProgram(
    process.execPath,
    [program, '--source', given(source, '--source'), '--verbose'],
    {
      seconds: 600,
    },
  );
  const results = readGenpolicyCases(output);
  if (results.length === 0) throw new Error(`no case was decided (exit code ${code}):\n${output.trimEnd()}`);
  return results;
}
