// `node --hash-seed=1 compile.js PROGRAM CACHE` runs the agent with --check, and writes V8's code cache of the
// functions that were compiled: most of those that run before the agent listens, and few others.
//
// The same program gives the same bytes: the hash seed is fixed, and no bytecode is flushed. V8 accepts a cache
// only under the flags with which it was created, so these flags are reset to the defaults that a guest has.
import { readFileSync, writeFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import { fileURLToPath } from 'node:url';
import { setFlagsFromString } from 'node:v8';
import { Script } from 'node:vm';

/** The longest example, not the configuration of an image, whose check could depend on this machine. */
const configuration = fileURLToPath(new URL('../../../../examples/confidential.toml', import.meta.url));

const [path, cache] = process.argv.slice(2);
if (path === undefined || cache === undefined) throw new Error('usage: compile.js PROGRAM CACHE');
setFlagsFromString('--no-flush-bytecode');
const script = new Script(readFileSync(path, 'utf8'), { filename: '/usr/lib/kata-agent/program.cjs' });
process.once('exit', () => {
  setFlagsFromString('--flush-bytecode');
  setFlagsFromString('--hash-seed=0');
  writeFileSync(cache, script.createCachedData());
  // The check fails if the configuration names a method that the program omits; the code cache is valid anyway.
  process.exitCode = 0;
});
const checkArguments = ['--check', '--format', 'json', '--relaxed-permissions', '--config', configuration];
process.argv = [process.execPath, path, ...checkArguments];
script.runInThisContext()(createRequire(import.meta.url), import.meta.url);
