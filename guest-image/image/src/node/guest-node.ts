// Reduces a Node.js for a guest: removes symbols, and ICU's data for languages other than English.
import { createHash } from 'node:crypto';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { root } from '@kata-agent/setup/bootstrap';
import { run } from '@kata-agent/setup/run-program';
import { cached } from '../packages/packages.js';
import { cutPages, findSymbol, offsetOf } from './elf.js';
import { packageSymbol, reducePackage } from './icu.js';

/** The code that determines the result, as part of the cache key. */
const scripts = ['guest-node', 'elf', 'icu'].map((name) =>
  readFileSync(new URL(`${name}.js`, import.meta.url), 'utf8'),
);

/**
 * Returns the reduced Node.js. Without symbols it is 20 MB smaller, and with ICU's data for English only
 * another 30 MB.
 */
export function guestNode(path: string, cache: string, printProgress: (text: string) => void): Buffer {
  const digest = createHash('sha256').update(readFileSync(path)).digest('hex');
  return cached(cache, ['node', digest, scripts], '.node', () => {
    printProgress('reducing Node.js');
    const directory = mkdtempSync(join(tmpdir(), 'kata-node-'));
    try {
      const stripped = join(directory, 'stripped');
      run('strip', ['-o', stripped, path]);
      const whole = readFileSync(stripped);
      const small = withSmallIcu(whole);
      if (typeof small === 'string') {
        printProgress(`Node.js keeps its complete ICU data: ${small}`);
        return whole;
      }
      compareResults(path, small, join(directory, 'small'));
      return small;
    } finally {
      rmSync(directory, { recursive: true, force: true });
    }
  });
}

/** Returns a Node.js whose ICU data is for English only, or the reason why it cannot be reduced. */
export function withSmallIcu(node: Buffer): Buffer | string {
  const symbol = findSymbol(node, packageSymbol);
  if (symbol === undefined) return `it has no symbol ${packageSymbol.source}, so ICU is a shared library`;
  const begin = offsetOf(node, symbol.address);
  const reduced = reducePackage(node.subarray(begin, begin + symbol.size));
  const filled = Buffer.from(node);
  filled.fill(0, begin, begin + symbol.size);
  filled.set(reduced, begin);
  const cut = cutPages(filled, symbol.address + reduced.length, symbol.address + symbol.size);
  return cut ?? 'it has no build ID note, whose program header the gap needs';
}

/** Throws if the reduced and the complete Node.js print different results of image/node-checks.mjs. */
export function compareResults(complete: string, reduced: Buffer, path: string): void {
  writeFileSync(path, reduced, { mode: 0o755 });
  const checks = join(root, 'image', 'node-checks.mjs');
  const resultsOf = (program: string): readonly string[] => run(program, [checks], { env: {} }).split('\n');
  const expected = resultsOf(complete);
  const actual = resultsOf(path);
  const differs = expected.findIndex((line, index) => line !== actual[index]);
  if (differs >= 0 || actual.length !== expected.length)
    throw new Error(
      `image/node-checks.mjs: the reduced Node.js prints ${actual[differs]}, the complete one ${expected[differs]}`,
    );
}
