// `npm run bundle`: one file each for the agent and the client, in build/bundle, with the one native library they need.
import { build } from 'esbuild';
import { chmodSync, cpSync, mkdirSync, readdirSync, rmSync, statSync } from 'node:fs';
import { join } from 'node:path';
import { bootstrap, root } from './bootstrap.mjs';

bootstrap('demo');
const out = join(root, 'build', 'bundle');
rmSync(out, { recursive: true, force: true });
mkdirSync(out, { recursive: true });

for (const [name, entry] of [
  ['kata-agent', 'packages/agent/dist/main.js'],
  ['kata-agent-ctl', 'packages/ctl/dist/main.js'],
]) {
  const outfile = join(out, `${name}.mjs`);
  await build({
    entryPoints: [join(root, entry)],
    outfile,
    bundle: true,
    platform: 'node',
    format: 'esm',
    target: 'node20',
    minify: true,
    external: ['koffi'],
    banner: {
      js: "#!/usr/bin/env node\nimport { createRequire as bundleRequire } from 'node:module';\nconst require = bundleRequire(import.meta.url);",
    },
    logLevel: 'warning',
  });
  chmodSync(outfile, 0o755);
  console.log(`${outfile}  ${(statSync(outfile).size / 1024).toFixed(0)} KiB`);
}

// koffi is found beside the bundle: its JavaScript, and the native library of this platform.
for (const name of [
  'koffi',
  ...readdirSync(join(root, 'node_modules', '@koromix')).map((platform) => `@koromix/${platform}`),
]) {
  cpSync(join(root, 'node_modules', name), join(out, 'node_modules', name), { recursive: true });
}
