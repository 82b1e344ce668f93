// Loaded into an agent with `--import`: measures the turns of its event loop. At SIGUSR2 it writes the longest turn
// since the last signal, in milliseconds of CPU time, to the file in TURN_PROBE. Wall time would include waits for a CPU.
import { readFileSync, writeFileSync } from 'node:fs';

const file = process.env['TURN_PROBE'];
if (file !== undefined) watch(file);

function watch(to: string): void {
  let longest = 0;
  let last = own();
  const turn = (): void => {
    const now = own();
    longest = Math.max(longest, now - last);
    last = now;
    setImmediate(turn).unref();
  };
  setImmediate(turn);
  process.on('SIGUSR2', () => {
    writeFileSync(to, String(longest));
    longest = 0;
  });
}

/** The CPU time of the main thread (/proc/PID/schedstat: the first number, nanoseconds). */
function own(): number {
  const [used = '0'] = readFileSync('/proc/self/schedstat', 'latin1').split(' ');
  return Number(used) / 1e6;
}
