// A cache of slow build steps, on disk.
import { createHash } from 'node:crypto';
import { existsSync, mkdirSync, readFileSync, renameSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';

/**
 * Returns the bytes that `make` returns for these inputs, and stores them. The file's name is the digest of the
 * inputs as JSON; if the file exists, `make` is not called.
 */
export function cached(
  directory: string,
  inputs: readonly unknown[],
  suffix: string,
  make: () => Buffer,
): Buffer {
  const key = createHash('sha256').update(JSON.stringify(inputs)).digest('hex').slice(0, 32);
  const path = join(directory, `${key}${suffix}`);
  if (!existsSync(path)) {
    mkdirSync(directory, { recursive: true });
    writeFileSync(`${path}.${process.pid}`, make());
    renameSync(`${path}.${process.pid}`, path);
  }
  return readFileSync(path);
}
