// The programs that tests start, bundled for a test run: a bundle starts in less than half the time of the compiled packages, which are a
// thousand modules, and it is what users have.
import { mkdirSync, symlinkSync } from 'node:fs';
import { join, parse } from 'node:path';
import { bundleAgent, bundleClient, bundleRealm } from '@kata-agent/tool-bundle/programs';

/** The environment variable with the directory of the programs (tests/harness/repository.ts). */
const variable = 'KATA_TEST_PROGRAMS';

/** Bundles the programs into a directory, for the processes that this one starts. */
export async function bundleTestPrograms(directory: string): Promise<void> {
  mkdirSync(directory);
  const programs = [
    await bundleAgent(join(directory, 'agent'), {
      facts: { leftOut: [], requireConfig: false },
      pullsImages: true,
      nodePath: process.execPath,
    }),
    await bundleClient(join(directory, 'ctl')),
    await bundleRealm(join(directory, 'realm')),
  ];
  for (const { file } of programs) symlinkSync(file, join(directory, parse(file).name));
  process.env[variable] = directory;
}
