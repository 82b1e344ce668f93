import { setImmediate as immediate } from 'node:timers/promises';

import type { Outcome, Part } from './part.js';

interface Progress {
  /** Names of missing Debian packages. */
  readonly missing: ReadonlySet<string>;
  readonly begun: (part: string) => void;
  readonly report: (outcome: Outcome) => void;
  /** Receives an error outside of a part's promise that came too late for its part. */
  readonly late: (error: unknown) => void;
}

/**
 * Runs parts one after another and reports each when it ends. A part that throws, also in a callback that nothing
 * awaits, or that needs a package in `missing`, is reported as failed, and the next one starts. Returns the failed
 * parts.
 */
export async function runParts(
  parts: readonly Part[],
  { missing, begun, report, late }: Progress,
): Promise<readonly string[]> {
  const failed: string[] = [];
  // Without this handler an unhandled `error` event would end the process, and the other parts with it.
  let onStray = late;
  const stray = (error: unknown): void => onStray(error);
  process.on('uncaughtException', stray);
  process.on('unhandledRejection', stray);
  try {
    for (const part of parts) {
      begun(part.name);
      const strayed = new Promise<never>((_resolve, reject) => {
        onStray = reject;
      });
      const outcome = await outcomeOf(part, missing, strayed);
      // Yields to signals and to errors of this part: some parts only compute.
      await immediate();
      onStray = late;
      report(outcome);
      if ('error' in outcome) failed.push(part.name);
    }
    return failed;
  } finally {
    process.off('uncaughtException', stray);
    process.off('unhandledRejection', stray);
  }
}

async function outcomeOf(
  { name, needs, measure }: Part,
  missing: ReadonlySet<string>,
  strayed: Promise<never>,
): Promise<Outcome> {
  const absent = needs.filter((one) => missing.has(one));
  if (absent.length > 0) {
    const help = `help: as root: apt-get install ${absent.join(' ')}`;
    return { part: name, error: `it needs Debian packages that are missing: ${absent.join(', ')}\n${help}` };
  }
  try {
    return { part: name, rows: await Promise.race([Promise.resolve().then(measure), strayed]) };
  } catch (error) {
    return { part: name, error: error instanceof Error ? error.message : String(error) };
  }
}
