// `node --hash-seed=1 scripts/image-compile.mjs PROGRAM CACHE`: has a program say its version, and writes what V8 had compiled
// of it until then: all that runs in its first half second, and little else.
//
// The same program gives the same bytes: the seed of V8's tables is not drawn by lot, and no function is forgotten while it
// runs. V8 takes a cache back only under the flags that it was made under, and a guest has none; so they are put back.
import { readFileSync, writeFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import { setFlagsFromString } from 'node:v8';
import { Script } from 'node:vm';

const [path, cache] = process.argv.slice(2);
setFlagsFromString('--no-flush-bytecode');
const script = new Script(readFileSync(path, 'utf8'), { filename: '/usr/lib/kata-agent/kata-agent.cjs' });
process.once('exit', () => {
  setFlagsFromString('--flush-bytecode');
  setFlagsFromString('--hash-seed=0');
  writeFileSync(cache, script.createCachedData());
});
process.argv = [process.execPath, path, '--version'];
script.runInThisContext()(createRequire(import.meta.url), import.meta.url);
