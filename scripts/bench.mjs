// `npm run bench [-- --quick] [--format json] [--only PART]`: compiles, and runs the benchmarks (bench/). The
// exit code is 1 if a benchmark fails.
import { spawn } from 'node:child_process';
import { join } from 'node:path';
import { bootstrap, root } from './bootstrap.mjs';

// A benchmark that needs a missing package fails, without failing the others.
const missing = bootstrap('bench');
const program = spawn(
  process.execPath,
  [
    '--enable-source-maps',
    join(root, 'bench', 'dist', 'main.js'),
    ...process.argv.slice(2),
    ...(missing.length > 0 ? ['--missing', missing.map(({ name }) => name).join(',')] : []),
  ],
  { cwd: root, stdio: 'inherit' },
);
// The program handles the signal: it completes its output and ends the processes that it started.
for (const signal of /** @type {const} */ (['SIGHUP', 'SIGINT', 'SIGTERM']))
  process.on(signal, () => program.kill(signal));
program.on('exit', (code) => process.exit(code ?? 1));
