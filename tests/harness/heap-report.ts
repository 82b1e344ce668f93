// Preloaded by an agent with `--expose-gc --import`: on SIGUSR2 it collects garbage and writes the remaining heap size in
// bytes to the file in HEAP_REPORT.
import { renameSync, writeFileSync } from 'node:fs';

const file = process.env['HEAP_REPORT'];
if (file === undefined) throw new Error('HEAP_REPORT is not set');
const collect = globalThis.gc;
if (collect === undefined) throw new Error('--expose-gc is not given');

process.on('SIGUSR2', () => {
  // Finalizers of the first collection can release more objects.
  for (let round = 0; round < 3; round += 1) collect();
  const { heapUsed, external } = process.memoryUsage();
  writeFileSync(`${file}.new`, String(heapUsed + external));
  renameSync(`${file}.new`, file);
});
