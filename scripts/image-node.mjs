// The Node.js of a guest: a pinned release, or a program that was named, without what a guest has no use for.
import { createHash } from 'node:crypto';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { cutPages, findSymbol, offsetOf } from './image-elf.mjs';
import { packageSymbol, reducePackage } from './image-icu.mjs';
import { cached, run } from './image-packages.mjs';

/** What makes it: another script gives another program. */
const scripts = ['image-node', 'image-elf', 'image-icu'].map((name) =>
  readFileSync(new URL(`${name}.mjs`, import.meta.url), 'utf8'),
);

/** Returns the bytes of a program made smaller: without its symbols 20 MB less, and with ICU's data for English alone 30 MB. */
export function guestNode(path, cache, say) {
  const digest = createHash('sha256').update(readFileSync(path)).digest('hex');
  return cached(cache, ['node', digest, scripts], '.node', () => {
    say('making Node.js smaller');
    const folder = mkdtempSync(join(tmpdir(), 'kata-node-'));
    try {
      const stripped = join(folder, 'stripped');
      run('strip', ['-o', stripped, path]);
      const whole = readFileSync(stripped);
      const small = withSmallIcu(whole);
      if (typeof small === 'string') {
        say(`Node.js keeps its ICU: ${small}`);
        return whole;
      }
      checkAnswers(path, small, join(folder, 'small'));
      return small;
    } finally {
      rmSync(folder, { recursive: true, force: true });
    }
  });
}

/** A Node.js whose ICU knows English alone; or why there is none, in words. */
export function withSmallIcu(node) {
  const symbol = findSymbol(node, packageSymbol);
  if (symbol === undefined)
    return `it has no symbol ${packageSymbol.source}, so its ICU is a library of its own`;
  const begin = offsetOf(node, symbol.address);
  const reduced = reducePackage(node.subarray(begin, begin + symbol.size));
  const filled = Buffer.from(node);
  filled.fill(0, begin, begin + symbol.size);
  filled.set(reduced, begin);
  const cut = cutPages(filled, symbol.address + reduced.length, symbol.address + symbol.size);
  return cut ?? 'it has no note of its build, whose header could serve for the gap';
}

/** Throws when a Node.js made smaller does not answer as the whole one does (image/node-questions.mjs). */
export function checkAnswers(whole, small, path) {
  writeFileSync(path, small, { mode: 0o755 });
  const questions = fileURLToPath(new URL('../image/node-questions.mjs', import.meta.url));
  const [expected, given] = [whole, path].map((program) =>
    run(program, [questions], { env: {} }).split('\n'),
  );
  const differs = expected.findIndex((line, index) => line !== given[index]);
  if (differs >= 0 || given.length !== expected.length)
    throw new Error(
      `Node.js made smaller says ${given[differs]} where it said ${expected[differs]} before: image/node-questions.mjs`,
    );
}
