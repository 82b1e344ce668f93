import { enlargeThreadPool } from '@kata-agent/linux';
// The guest's setup begins before the rest of the program is loaded: the kernel loads its modules meanwhile.
import { beFirstProcess } from './init/first-process.js';

enlargeThreadPool();

const ready = process.pid === 1 ? beFirstProcess() : Promise.resolve();

// No top-level await: in an image this is a script, not a module.
void import('./program.js').then(async ({ runProgram }) => {
  process.exitCode = await runProgram(process.argv.slice(2), ready);
});
