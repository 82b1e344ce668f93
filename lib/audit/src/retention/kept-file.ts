import { createHash } from 'node:crypto';
import { dirname } from 'node:path';
import { type FileLayer, openSegment, removeIfThere } from '../file-layer.js';
import { LineReader } from '../chain/line-reader.js';
import type { KeptSummary } from '../record/record.js';
import type { Present } from './present.js';
import { Selection } from './selection.js';

/**
 * Writes the next file of kept records from the current one and from segments about to be removed, oldest first. The
 * file is valid once a `rotated` record names it. Undefined when there is nothing to keep.
 */
export async function writeNextKept(
  file: string,
  segments: readonly string[],
  options: { readonly files: FileLayer; readonly budget: number; readonly present: Present },
): Promise<KeptSummary | undefined> {
  const { files, budget, present } = options;
  const selection = new Selection(budget, present);
  for (const path of [keptPath(file), ...segments]) {
    for await (const lines of linesIn(path)) {
      for (const line of lines) selection.add(line);
    }
  }
  const lines = selection.lines();
  const next = nextKeptPath(file);
  await removeIfThere(next, files);
  if (lines.length === 0) return undefined;
  const bytes = Buffer.concat(lines.flatMap((line) => [line, newline]));
  const segment = await files.append(next, { fresh: true });
  try {
    for (let rest = bytes; rest.length > 0; ) rest = rest.subarray(await segment.write(rest));
    await segment.datasync();
  } finally {
    await segment.close();
  }
  await files.syncDirectory(dirname(file));
  return { records: lines.length, sha256: createHash('sha256').update(bytes).digest('hex') };
}

/** Renames the next file of kept records into place, if it is the one that `named` names. Safe to repeat. */
export async function settleKept(
  file: string,
  named: KeptSummary | undefined,
  files: FileLayer,
): Promise<void> {
  const next = await readKept(nextKeptPath(file));
  if (next === undefined || named === undefined || next.sha256 !== named.sha256) return;
  await files.rename(nextKeptPath(file), keptPath(file));
}

/** Reads a file of kept records; undefined when it does not exist. */
async function readKept(path: string): Promise<KeptSummary | undefined> {
  const handle = await openSegment(path);
  if (handle === undefined) return undefined;
  await handle.close();
  const hash = createHash('sha256');
  let records = 0;
  for await (const lines of linesIn(path)) {
    for (const line of lines) {
      hash.update(line).update(newline);
      records += 1;
    }
  }
  return { records, sha256: hash.digest('hex') };
}

const newline = Buffer.from('\n');

/** Yields the lines of a file; none when it does not exist. */
async function* linesIn(path: string): AsyncGenerator<readonly Buffer[]> {
  const handle = await openSegment(path);
  if (handle === undefined) return;
  try {
    const reader = new LineReader(handle);
    for (let lines = await reader.next(); lines !== undefined; lines = await reader.next()) yield lines;
  } finally {
    await handle.close();
  }
}

/** The file of unmodified records from removed segments: `FILE.kept`. */
export function keptPath(file: string): string {
  return `${file}.kept`;
}

/** The file that replaces it once the `rotated` record that names it is on disk. */
export function nextKeptPath(file: string): string {
  return `${file}.kept.next`;
}
