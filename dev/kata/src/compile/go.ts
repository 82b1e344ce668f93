// Builds Go programs of the copy.
import { existsSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { relaxGoVersion } from '../checkout.js';
import { PartSkipped } from '../part.js';
import { requireProgram, runProgram, versionOf } from '../program.js';

const buildSeconds = 3600;

/** Builds programs of Kata's Go runtime into a directory. Throws a skip if dependencies cannot be had here. */
export async function buildGoRuntime(
  copy: string,
  out: string,
  programs: readonly string[],
  printProgress: (text: string) => void,
): Promise<void> {
  requireProgram('go', 'apt-get install golang-go');
  const directory = join(copy, 'src', 'runtime');
  const goMod = join(directory, 'go.mod');
  if (!existsSync(goMod)) throw new PartSkipped('the checkout has no src/runtime/go.mod');
  const { text, change } = relaxGoVersion(
    readFileSync(goMod, 'utf8'),
    versionOf('go', 'env', 'GOVERSION')?.slice(2) ?? '',
  );
  if (change !== undefined) {
    writeFileSync(goMod, text);
    printProgress(change);
  }
  await generateSettings(directory);
  const vendored = existsSync(join(directory, 'vendor', 'modules.txt'));
  const { code, output } = await runProgram(
    'go',
    ['build', '-trimpath', '-buildvcs=false', '-o', `${out}/`, ...programs.map((name) => `./cmd/${name}`)],
    {
      cwd: directory,
      env: { GOTOOLCHAIN: 'local', GOFLAGS: vendored ? '-mod=vendor' : '-mod=readonly' },
      seconds: buildSeconds,
    },
  );
  if (code === 0) return;
  const missing = unavailable(output);
  if (missing !== undefined) throw new PartSkipped(missing);
  throw new Error(`go build failed:\n${output.trimEnd()}`);
}

/** Generates the source file with the defaults of Kata's configuration, which is not committed there. */
async function generateSettings(directory: string): Promise<void> {
  const file = join('pkg', 'katautils', 'config-settings.go');
  if (!existsSync(join(directory, `${file}.in`))) return;
  requireProgram('make', 'apt-get install make');
  const { code, output } = await runProgram('make', ['SKIP_GO_VERSION_CHECK=1', file], {
    cwd: directory,
    seconds: buildSeconds,
  });
  if (code !== 0) throw new Error(`make ${file} failed:\n${output.trimEnd()}`);
}

/** Returns the reason if Go could not get a module or is too old; undefined for any other output. */
export function unavailable(output: string): string | undefined {
  const old = /go\.mod requires go >= \S+ \(running go [^;)]*/.exec(output)?.[0];
  if (old !== undefined) return `${old}); help: install that release of Go`;
  const download = /dial tcp: .*|module lookup disabled by .*|i\/o timeout/.exec(output)?.[0];
  if (download === undefined) return undefined;
  return `go cannot download modules: ${download.trim()}; help: run go mod vendor in src/runtime of the checkout`;
}
