// `npm run generate`: writes what is derived from other files. With `--check` it writes nothing and fails when one is stale.
import { spawnSync } from 'node:child_process';
import {
  existsSync,
  mkdirSync,
  mkdtempSync,
  readFileSync,
  readdirSync,
  rmSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { delimiter } from 'node:path';
import { root } from './bootstrap.mjs';

const check = process.argv.includes('--check');
const stale = [];

/** Writes one generated file, or notes that it is not what it should be. */
function emit(path, text) {
  const target = join(root, path);
  if (existsSync(target) && readFileSync(target, 'utf8') === text) return;
  if (check) stale.push(path);
  else {
    mkdirSync(dirname(target), { recursive: true });
    writeFileSync(target, text);
    console.error(`wrote ${path}`);
  }
}

/** TypeScript from the .proto files of a buf project, which names its output `out`; the code is kept in `kept`. */
function generateMessages({ project, out, kept }) {
  const folder = mkdtempSync(join(tmpdir(), 'kata-agent-gen-'));
  try {
    const bin = join(root, 'node_modules', '.bin');
    const env = { ...process.env, PATH: `${bin}${delimiter}${process.env.PATH ?? ''}` };
    const cwd = join(root, project);
    const result = spawnSync(join(bin, 'buf'), ['generate', '--output', folder], {
      cwd,
      env,
      encoding: 'utf8',
    });
    if (result.status !== 0) {
      console.error(
        `buf generate failed:\n${result.stdout ?? ''}${result.stderr ?? ''}${result.error?.message ?? ''}`,
      );
      process.exit(1);
    }
    const made = join(folder, out);
    for (const name of readdirSync(made)) {
      emit(join(kept, name), readFileSync(join(made, name), 'utf8'));
    }
  } finally {
    rmSync(folder, { recursive: true });
  }
}

/** Reference pages, schema and examples, each made by the package that holds its table. */
async function generateReference() {
  const module = join(root, 'packages', 'ctl', 'dist', 'reference', 'pages.js');
  if (!existsSync(module)) return;
  const { referencePages } = await import(module);
  for (const [path, text] of Object.entries(await referencePages())) emit(path, text);
  const hardening = join(root, 'packages', 'agent', 'dist', 'init', 'hardening-page.js');
  const { hardeningPage } = await import(hardening);
  emit('docs/reference/hardening.md', hardeningPage());
}

generateMessages({ project: 'packages/protocol', out: 'src/gen', kept: 'packages/protocol/src/gen' });
generateMessages({ project: 'tests/interop/proto', out: 'gen', kept: 'tests/interop/gen' });
await generateReference();
if (stale.length > 0) {
  console.error(`stale: ${stale.join(', ')}; run: npm run generate`);
  process.exit(1);
}
