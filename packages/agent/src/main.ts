// What a guest needs is begun before the rest of the program is so much as read: the kernel loads its modules meanwhile.
import { beFirstProcess } from './init/first-process.js';

const ready = process.pid === 1 ? beFirstProcess() : Promise.resolve();

// Nothing is awaited here: in an image this is a script, and no module.
void import('./program.js').then(async ({ runProgram }) => {
  process.exitCode = await runProgram(process.argv.slice(2), ready);
});
