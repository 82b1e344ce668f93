// Loaded into an agent with `--expose-gc --import`: at SIGUSR2 it collects its garbage and writes into the file HEAP_REPORT
// how many bytes are left.
import { renameSync, writeFileSync } from 'node:fs';

const file = process.env['HEAP_REPORT'];
if (file === undefined) throw new Error('HEAP_REPORT is not set');
const collect = globalThis.gc;
if (collect === undefined) throw new Error('--expose-gc is not given');

process.on('SIGUSR2', () => {
  // What the first finds unreachable may hold on to more until its finalizers have run.
  for (let round = 0; round < 3; round += 1) collect();
  const { heapUsed, external } = process.memoryUsage();
  writeFileSync(`${file}.new`, String(heapUsed + external));
  renameSync(`${file}.new`, file);
});
