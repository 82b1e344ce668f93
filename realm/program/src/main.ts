import { processIo, runProgram } from '@kata-agent/cli';
import { program } from './program.js';

process.exitCode = await runProgram(program, process.argv.slice(2), processIo());
