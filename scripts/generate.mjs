// `npm run generate`: writes the generated files. With `--check` writes nothing, and fails if one is stale.
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
import { readNotRecordedPage } from './read-not-recorded.mjs';

const check = process.argv.includes('--check');
/** @type {string[]} */
const stale = [];

/**
 * Writes a generated file, or with `--check` adds it to the stale ones, unless it has this text.
 *
 * @param {string} path
 * @param {string} text
 */
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

/**
 * Generates TypeScript from the .proto files of a buf project. `out`: the output directory in buf.gen.yaml;
 * `target`: the directory of the generated files in the repository.
 *
 * @param {{ project: string, out: string, target: string }} messages
 */
function generateMessages({ project, out, target }) {
  const directory = mkdtempSync(join(tmpdir(), 'kata-agent-gen-'));
  try {
    const bin = join(root, 'node_modules', '.bin');
    const env = { ...process.env, PATH: `${bin}${delimiter}${process.env.PATH ?? ''}` };
    const cwd = join(root, project);
    const result = spawnSync(join(bin, 'buf'), ['generate', '--output', directory], {
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
    const generated = join(directory, out);
    for (const name of readdirSync(generated)) {
      emit(join(target, name), readFileSync(join(generated, name), 'utf8'));
    }
  } finally {
    rmSync(directory, { recursive: true });
  }
}

/** Generates reference pages, the schema and examples. The package that has the data generates the text. */
async function generateReference() {
  const module = join(root, 'client', 'ctl', 'dist', 'reference', 'pages.js');
  if (!existsSync(module)) return;
  /** @type {{ referencePages: () => Promise<Readonly<Record<string, string>>> }} */
  const { referencePages } = await import(module);
  for (const [path, text] of Object.entries(await referencePages())) emit(path, text);
  const realm = join(root, 'realm', 'program', 'dist', 'program.js');
  /** @type {{ referencePage: () => string }} */
  const { referencePage } = await import(realm);
  emit('docs/reference/kata-realm.md', referencePage());
  const hardening = join(root, 'agent', 'server', 'dist', 'init', 'hardening-page.js');
  /** @type {{ hardeningPage: () => string }} */
  const { hardeningPage } = await import(hardening);
  emit('docs/reference/hardening.md', hardeningPage());
  const runtimes = join(root, 'agent', 'guest', 'dist', 'runtime', 'oci-runtimes-page.js');
  /** @type {{ ociRuntimesPage: () => string }} */
  const { ociRuntimesPage } = await import(runtimes);
  emit('docs/reference/oci-runtimes.md', ociRuntimesPage());
  const mountOptions = join(root, 'agent', 'guest', 'dist', 'storage', 'mount-options-page.js');
  /** @type {{ mountOptionsPage: () => string }} */
  const { mountOptionsPage } = await import(mountOptions);
  emit('docs/reference/mount-options.md', mountOptionsPage());
}

/** Generates the API reports of the packages that others can use alone, from their declarations. */
async function generateApiReports() {
  const module = join(root, 'dev', 'repository', 'dist', 'api-report', 'reports.js');
  if (!existsSync(module)) return;
  /** @type {{ apiReports: () => Readonly<Record<string, string>> }} */
  const { apiReports } = await import(module);
  for (const [path, text] of Object.entries(apiReports())) emit(path, text);
}

generateMessages({ project: 'lib/protocol', out: 'src/gen', target: 'lib/protocol/src/gen' });
generateMessages({ project: 'tests/interop/proto', out: 'gen', target: 'tests/interop/gen' });
generateMessages({ project: 'dev/kata', out: 'gen', target: 'dev/kata/src/gen' });
await generateReference();
await generateApiReports();
emit('docs/records/read-not-recorded.md', readNotRecordedPage());
if (stale.length > 0) {
  console.error(`stale: ${stale.join(', ')}\nhelp: run \`npm run generate\``);
  process.exit(1);
}
