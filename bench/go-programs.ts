import { spawnSync } from 'node:child_process';
import { fileURLToPath } from 'node:url';

/** The checkout's directory, from this file's compiled form (bench/dist). */
export const root: string = fileURLToPath(new URL('../..', import.meta.url));

export interface GoPrograms {
  readonly server: string;
  readonly client: string;
  readonly container: string;
  readonly agent: string;
  readonly scale: string;
}

let built: GoPrograms | undefined;

/** Returns the result of `buildGoPrograms`, built on first use. */
export function goPrograms(): GoPrograms {
  built ??= buildGoPrograms();
  return built;
}

/**
 * Builds the benchmark's Go programs (tests/interop/build.mjs). Throws if Go is missing, with the package to install.
 */
function buildGoPrograms(): GoPrograms {
  const script = `${root}/tests/interop/build.mjs`;
  const names = ['bench-server', 'bench-client', 'bench-container', 'bench-agent', 'bench-scale'] as const;
  const result = spawnSync(process.execPath, [script, ...names], { encoding: 'utf8' });
  if (result.status !== 0) throw new Error(result.stderr.trim());
  const paths = JSON.parse(result.stdout) as Readonly<Record<(typeof names)[number], string>>;
  return {
    server: paths['bench-server'],
    client: paths['bench-client'],
    container: paths['bench-container'],
    agent: paths['bench-agent'],
    scale: paths['bench-scale'],
  };
}
