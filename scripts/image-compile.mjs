// `node --hash-seed=1 scripts/image-compile.mjs PROGRAM CACHE`: has a program load a configuration, and writes what V8 had
// compiled of it until then: most of what runs before it listens, and little else.
//
// The same program gives the same bytes: the seed of V8's tables is not drawn by lot, and no function is forgotten while it
// runs. V8 takes a cache back only under the flags that it was made under, and a guest has none; so they are put back.
import { readFileSync, writeFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import { fileURLToPath } from 'node:url';
import { setFlagsFromString } from 'node:v8';
import { Script } from 'node:vm';

/** The longest of the examples: of no image, so that what this machine has is not asked for. */
const configuration = fileURLToPath(new URL('../examples/confidential.toml', import.meta.url));

const [path, cache] = process.argv.slice(2);
setFlagsFromString('--no-flush-bytecode');
const script = new Script(readFileSync(path, 'utf8'), { filename: '/usr/lib/kata-agent/program.cjs' });
process.once('exit', () => {
  setFlagsFromString('--flush-bytecode');
  setFlagsFromString('--hash-seed=0');
  writeFileSync(cache, script.createCachedData());
  // A program without the code of some method may find that the configuration names it, and is no worse for that.
  process.exitCode = 0;
});
const task = ['--check', '--format', 'json', '--relaxed-permissions', '--config', configuration];
process.argv = [process.execPath, path, ...task];
script.runInThisContext()(createRequire(import.meta.url), import.meta.url);
