// The two programs as files that need no node_modules but koffi, which is found beside them.
import { build } from 'esbuild';
import {
  chmodSync,
  copyFileSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  rmSync,
  writeFileSync,
} from 'node:fs';
import { join, relative } from 'node:path';
import { root } from './bootstrap.mjs';
import { leaveOut } from './bundle-plugin.mjs';
import { misplaced, searchHandlers } from './bundle-search.mjs';

const agentEntry = 'packages/agent/dist/main.js';

const common = {
  absWorkingDir: root,
  bundle: true,
  platform: 'node',
  target: 'node20',
  minify: true,
  external: ['koffi'],
  logLevel: 'warning',
};

/**
 * Bundles the agent for these build facts into a folder, which is emptied before, and looks into what it made.
 * Throws when code is there that should not be, or the other way round.
 */
export async function bundleAgent(folder, facts) {
  const bundled = await bundle(folder, 'kata-agent', agentEntry, [leaveOut(facts)]);
  await checkHandlers(folder, facts);
  return bundled;
}

/**
 * The agent as one file in a folder, which is emptied before: a function of `require`, which finds koffi, and of the address
 * of the file that it stands for. Looked into as well.
 */
export async function bundleAgentAsOne(folder, file, facts) {
  rmSync(folder, { recursive: true, force: true });
  await build({
    ...common,
    entryPoints: [agentEntry],
    outfile: file,
    format: 'cjs',
    // Whoever runs such a function knows of no other modules than Node's own and koffi.
    supported: { 'dynamic-import': false },
    define: { 'import.meta.url': 'programUrl' },
    plugins: [leaveOut(facts)],
    banner: { js: '(function (require, programUrl) {' },
    footer: { js: '})' },
  });
  await checkHandlers(folder, facts);
}

async function checkHandlers(folder, { leftOut }) {
  const wrong = misplaced(await searchHandlers(folder), leftOut);
  if (wrong.length > 0) throw new Error(`the bundle is not as it should be: ${JSON.stringify(wrong)}`);
}

export function bundleClient(folder) {
  return bundle(folder, 'kata-agent-ctl', 'packages/ctl/dist/main.js', []);
}

/** Answers the program's file, and the bytes of JavaScript that it loads at its start and those it may load later. */
async function bundle(folder, name, entry, plugins) {
  rmSync(folder, { recursive: true, force: true });
  mkdirSync(folder, { recursive: true });
  const { metafile } = await build({
    ...common,
    entryPoints: { [name]: entry },
    outdir: folder,
    outExtension: { '.js': '.mjs' },
    chunkNames: 'parts/[name]-[hash]',
    // What is imported late is a file of its own, so that it costs nothing until then.
    splitting: true,
    format: 'esm',
    metafile: true,
    plugins,
    banner: {
      js: "import { createRequire as bundleRequire } from 'node:module';\nconst require = bundleRequire(import.meta.url);",
    },
  });
  const file = join(folder, `${name}.mjs`);
  const entryPath = relative(root, file);
  removeUnreachable(metafile.outputs, entryPath);
  chmodSync(file, 0o755);
  copyKoffi(folder);
  return { file, ...sizes(metafile.outputs, entryPath) };
}

/**
 * What an output imports in its first lines is loaded with it, and what it imports by a call is loaded late. But what the
 * entry calls for is the program itself.
 */
function sizes(outputs, entry) {
  const total = (paths) => [...paths].reduce((sum, path) => sum + outputs[path].bytes, 0);
  const first = [entry, ...outputs[entry].imports.map(({ path }) => path)];
  const atStart = total(
    new Set(first.flatMap((path) => [...reachable(outputs, path, ['import-statement'])])),
  );
  return { atStart, late: total(reachable(outputs, entry)) - atStart };
}

function reachable(outputs, entry, kinds = ['import-statement', 'dynamic-import', 'require-call']) {
  const found = new Set();
  const visit = (path) => {
    if (found.has(path) || outputs[path] === undefined) return;
    found.add(path);
    for (const { path: next, kind } of outputs[path].imports) if (kinds.includes(kind)) visit(next);
  };
  visit(entry);
  return found;
}

/** The bundler writes a part for each late import, also when nothing is left of the code that would ask for it. */
function removeUnreachable(outputs, entry) {
  const wanted = reachable(outputs, entry);
  for (const path of Object.keys(outputs)) if (!wanted.has(path)) rmSync(join(root, path));
}

/**
 * koffi as the bundle finds it: its native libraries, and a loader of a few lines in the place of its own, which looks
 * through the machine for them (4 of koffi's 5 ms). Each is for one C library, and refuses to be loaded with the other.
 */
function copyKoffi(folder) {
  const target = join(folder, 'node_modules', 'koffi');
  const from = join(root, 'node_modules', 'koffi');
  mkdirSync(target, { recursive: true });
  copyFileSync(join(from, 'LICENSE.txt'), join(target, 'LICENSE.txt'));
  const libraries = nativeLibraries(join(root, 'node_modules', '@koromix'));
  for (const { name, path } of libraries) copyFileSync(path, join(target, name));
  const [glibc, musl] = ['linux', 'musl'].map((prefix) =>
    libraries.find(({ name }) => name.startsWith(prefix)),
  );
  const load = ({ name }) => `require(${JSON.stringify(`./${name}`)})`;
  writeFileSync(
    join(target, 'index.cjs'),
    [
      `try { module.exports = ${load(glibc)}; } catch (error) {`,
      `  try { module.exports = ${load(musl)}; } catch { throw error; }`,
      '}\n',
    ].join('\n'),
  );
  const { version, license } = JSON.parse(readFileSync(join(from, 'package.json'), 'utf8'));
  writeFileSync(
    join(target, 'package.json'),
    `${JSON.stringify({ name: 'koffi', version, license, main: 'index.cjs' })}\n`,
  );
}

/** `linux_x64.node`, `musl_x64.node`: what npm installed for this platform. */
function nativeLibraries(folder) {
  return readdirSync(folder).flatMap((platform) =>
    readdirSync(join(folder, platform), { withFileTypes: true })
      .filter((entry) => entry.isDirectory())
      .map(({ name }) => ({ name: `${name}.node`, path: join(folder, platform, name, 'koffi.node') })),
  );
}
