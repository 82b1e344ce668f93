// `node --hash-seed=1 compile.js PROGRAM CACHE` writes V8's code cache of the agent: of all functions in the ranges that it reads as JSON
// (those of a start and of a pod's calls), and of the others that run for --check, which checks a configuration.
//
// The same program gives the same bytes, on any machine and for any user: the hash seed is fixed, no bytecode is flushed, and nothing
// is run that depends on the machine. V8 accepts a cache only under the flags with which it was created, so these flags are reset to the
// defaults.
import { readFileSync, writeFileSync } from 'node:fs';
import { Session } from 'node:inspector';
import { createRequire } from 'node:module';
import { fileURLToPath, pathToFileURL } from 'node:url';
import { setFlagsFromString } from 'node:v8';
import { Script } from 'node:vm';
import type { Place, Range } from './start-ranges.js';

/**
 * A pod's generated configuration, whose rules use most of the language: what reads them is loaded on demand, but is in the cache.
 * Not the configuration of an image, whose check could depend on this machine.
 */
const configuration = fileURLToPath(new URL('../../../examples/workloads/postgres.toml', import.meta.url));

const [path, cache] = process.argv.slice(2);
if (path === undefined || cache === undefined) throw new Error('usage: compile.js PROGRAM CACHE');
const ranges = JSON.parse(readFileSync(0, 'utf8')) as readonly Range[];
setFlagsFromString('--no-flush-bytecode');
/** Where an image has it; the same for each build, since V8 stores it in the cache. */
const filename = '/usr/lib/kata-agent/program.cjs';
const script = new Script(readFileSync(path, 'latin1'), { filename });
process.once('exit', () => {
  compileFunctions(ranges);
  setFlagsFromString('--flush-bytecode');
  setFlagsFromString('--hash-seed=0');
  writeFileSync(cache, script.createCachedData());
  // The check fails if the configuration names a method that the program omits; the code cache is valid anyway.
  process.exitCode = 0;
});
const checkArguments = ['--check', '--format', 'json', '--relaxed-permissions', '--config', configuration];
process.argv = [process.execPath, path, ...checkArguments];
script.runInThisContext()(createRequire(path), pathToFileURL(path).href);

/**
 * Compiles functions without running them: V8 compiles all functions of a range when a debugger asks at which places in it a program
 * can be stopped.
 */
function compileFunctions(wanted: readonly Range[]): void {
  const session = new Session();
  session.connect();
  let scriptId: string | undefined;
  session.on('Debugger.scriptParsed', ({ params }) => {
    if (params.url === pathToFileURL(filename).href) scriptId = params.scriptId;
  });
  session.post('Debugger.enable');
  for (const { from, to } of wanted) {
    const place = ({ line, column }: Place) => ({
      scriptId: scriptId ?? notParsed(),
      lineNumber: line,
      columnNumber: column,
    });
    session.post('Debugger.getPossibleBreakpoints', { start: place(from), end: place(to) }, (error) => {
      if (error !== null) throw error;
    });
  }
  session.disconnect();
}

function notParsed(): never {
  throw new Error(`V8 does not name ${filename}`);
}
