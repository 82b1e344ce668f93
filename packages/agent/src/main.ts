// What a guest needs is begun before the rest of the program is so much as read: the kernel loads its modules meanwhile.
import { beFirstProcess } from './init/first-process.js';

const ready = process.pid === 1 ? beFirstProcess() : Promise.resolve();
const { runProgram } = await import('./program.js');
process.exitCode = await runProgram(process.argv.slice(2), ready);
