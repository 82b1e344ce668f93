import { spawnSync } from 'node:child_process';
import { fileURLToPath } from 'node:url';

/** The checkout's folder, seen from this file's compiled form (bench/dist). */
export const root: string = fileURLToPath(new URL('../..', import.meta.url));

export interface GoPrograms {
  readonly server: string;
  readonly client: string;
  readonly container: string;
}

let built: GoPrograms | undefined;

/** Those of `buildGoPrograms`, built at the first call that succeeds. */
export function goPrograms(): GoPrograms {
  built ??= buildGoPrograms();
  return built;
}

/** Builds the benchmark's Go programs (tests/interop/build.mjs). Throws, with what to install, when Go is missing. */
function buildGoPrograms(): GoPrograms {
  const script = `${root}/tests/interop/build.mjs`;
  const names = ['bench-server', 'bench-client', 'bench-container'] as const;
  const result = spawnSync(process.execPath, [script, ...names], { encoding: 'utf8' });
  if (result.status !== 0) throw new Error(result.stderr.trim());
  const paths = JSON.parse(result.stdout) as Readonly<Record<(typeof names)[number], string>>;
  return {
    server: paths['bench-server'],
    client: paths['bench-client'],
    container: paths['bench-container'],
  };
}
