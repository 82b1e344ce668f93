// The programs that tests start, bundled for a test run: a bundle starts in less than half the time of the compiled packages, which are a
// thousand modules, and it is what users have.
import { mkdirSync, rmSync, symlinkSync } from 'node:fs';
import { basename, dirname, join } from 'node:path';
import { root } from '@kata-agent/setup/bootstrap';
import { bundleAgent, bundleClient, bundleRealm } from '@kata-agent/tool-bundle/programs';

/** The environment variable with the directory of the programs (tests/harness/repository.ts). */
const variable = 'KATA_TEST_PROGRAMS';

/** Bundles the programs into a directory, for the processes that this one starts. */
export async function bundleTestPrograms(directory: string): Promise<void> {
  mkdirSync(directory);
  const programs = [
    await bundleAgent(join(directory, 'agent'), { leftOut: [], requireConfig: false }),
    await bundleClient(join(directory, 'ctl')),
    await bundleRealm(join(directory, 'realm')),
  ];
  for (const { file } of programs) {
    // Modules that a test preloads replace functions of the koffi that the checkout has (guest-image/command/src/replace-libc.ts).
    const koffi = join(dirname(file), 'node_modules', 'koffi');
    rmSync(koffi, { recursive: true });
    symlinkSync(join(root, 'node_modules', 'koffi'), koffi);
    symlinkSync(file, join(directory, basename(file)));
  }
  process.env[variable] = directory;
}
