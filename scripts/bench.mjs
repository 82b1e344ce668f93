// `npm run bench [-- --quick] [--format json] [--only PART]`: compiles, and measures our server against Go's, the gate, the
// start, and containers against plain runc. The figures of each part are printed when they are there, beside their goals; a
// part that fails is named in its place, and makes the exit code 1.
import { spawn } from 'node:child_process';
import { join } from 'node:path';
import { bootstrap, root } from './bootstrap.mjs';

// Each part says which of them it needs, and fails alone.
const missing = bootstrap('test');
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
// It completes what it has printed, and ends what it has started.
for (const signal of ['SIGHUP', 'SIGINT', 'SIGTERM']) process.on(signal, () => program.kill(signal));
program.on('exit', (code) => process.exit(code ?? 1));
