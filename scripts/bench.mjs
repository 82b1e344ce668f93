// `npm run bench [-- --quick] [--format json] [--only PART]`: compiles, makes the bundle, and measures our server against
// Go's, the gate, the start, and containers against plain runc. The figures stand in one table with their goals.
import { spawnSync } from 'node:child_process';
import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { bootstrap, root } from './bootstrap.mjs';

const missing = bootstrap('test');
if (missing.length > 0) {
  console.error(`npm run bench needs Debian packages that are missing: ${missing.join(', ')}`);
  process.exit(1);
}
const bundle = join(root, 'scripts', 'bundle.mjs');
const steps = [
  ...(existsSync(bundle) ? [[bundle]] : []),
  ['--enable-source-maps', join(root, 'bench', 'dist', 'main.js'), ...process.argv.slice(2)],
];
for (const [index, args] of steps.entries()) {
  // What the bundle script prints is not part of the figures.
  const stdout = index === steps.length - 1 ? 'inherit' : 2;
  const { status } = spawnSync(process.execPath, args, { cwd: root, stdio: ['inherit', stdout, 'inherit'] });
  if (status !== 0) process.exit(status ?? 1);
}
