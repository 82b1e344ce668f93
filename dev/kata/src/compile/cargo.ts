// Builds crates of the copy with cargo.
import { existsSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { PartSkipped } from '../part.js';
import { type ProgramResult, requireProgram, runProgram } from '../program.js';

/** Building all dependencies of agent-ctl takes a quarter of an hour on two processors. */
const buildSeconds = 3600;

/** Runs cargo in the copy. Throws a skip if dependencies or the toolchain cannot be had here. */
export async function runCargo(
  { copy, work }: { readonly copy: string; readonly work: string },
  args: readonly string[],
): Promise<ProgramResult> {
  requireProgram('cargo', "apt-get install cargo, or rustup with the version in Kata's versions.yaml");
  if (!existsSync(join(copy, 'Cargo.toml')))
    throw new PartSkipped('this release of Kata has no Cargo workspace at its top; help: take 4.0 or later');
  // rustup would download the pinned toolchain; rust-version in Cargo.toml still sets the minimum.
  rmSync(join(copy, 'rust-toolchain.toml'), { force: true });
  const result = await runProgram('cargo', args, {
    cwd: copy,
    env: { CARGO_TARGET_DIR: join(work, 'target'), CARGO_NET_RETRY: '0', CARGO_TERM_COLOR: 'never' },
    seconds: buildSeconds,
  });
  const missing = unavailable(result.output);
  if (result.code !== 0 && missing !== undefined) throw new PartSkipped(missing);
  return result;
}

/** Returns the reason if cargo could not get a dependency or is too old; undefined for any other output. */
export function unavailable(output: string): string | undefined {
  const download = /failed to (?:download from|get|load source|fetch|query replaced source) .*/.exec(
    output,
  )?.[0];
  const host = /Could not resolve host(?:name)?[^)\n]*|Connection refused|Timeout was reached/i.exec(
    output,
  )?.[0];
  const cause = host ?? download;
  if (cause !== undefined)
    return `cargo cannot download dependencies: ${cause.trim()}; help: unpack the vendor archive of Kata's release in the checkout`;
  return /^error: rustc [\d.]+ is not supported.*$/m.exec(output)?.[0];
}
