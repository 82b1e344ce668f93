// The program of a thread for what may wait for the host (media-threads.ts); as a process, of one that works on a disk of the host
// (../tool/disk-programs.ts).
import { writeSync } from 'node:fs';
import { isMainThread } from 'node:worker_threads';
import { loadSyscalls, serveTasks } from '@kata-agent/linux';
import { type DiskProgramOptions, executeOnDisk, refusalPipe } from '../tool/disk-program.js';
import { encodeError } from '../media/task-errors.js';
import { mediaTasks } from './tasks.js';

if (isMainThread) {
  try {
    executeOnDisk(JSON.parse(process.argv[2] ?? '') as DiskProgramOptions);
  } catch (error) {
    writeSync(refusalPipe, String(error));
    process.exitCode = 1;
  }
} else {
  serveTasks(mediaTasks, loadSyscalls(), encodeError);
}
