// `npm run fuzz [-- OPTIONS]`: compiles, then runs the targets in fuzz/ with random
// inputs.
import { spawnSync } from 'node:child_process';
import { join } from 'node:path';
import { bootstrap, root } from './bootstrap.mjs';

bootstrap('demo');
const main = join(root, 'fuzz', 'dist', 'main.js');
const result = spawnSync(process.execPath, ['--enable-source-maps', main, ...process.argv.slice(2)], {
  cwd: root,
  stdio: 'inherit',
});
process.exit(result.status ?? 1);
