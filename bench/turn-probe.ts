// Loaded into an agent with `--import`: measures the turns of its event loop. At SIGUSR2 it writes the longest one since the
// last time, in milliseconds of the processor, to the file that TURN_PROBE names: what the main thread waited for a processor is
// the machine's matter.
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

/** The processor's time that the main thread has had (/proc/PID/schedstat: the first figure, nanoseconds). */
function own(): number {
  const [used = '0'] = readFileSync('/proc/self/schedstat', 'latin1').split(' ');
  return Number(used) / 1e6;
}
