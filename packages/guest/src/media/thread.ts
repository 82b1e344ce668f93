// The program of a thread for what may wait for the host (media-threads.ts).
import { loadSyscalls, serveTasks } from '@kata-agent/linux';
import { encodeError } from './task-errors.js';
import { mediaTasks } from './tasks.js';

serveTasks(mediaTasks, loadSyscalls(), encodeError);
