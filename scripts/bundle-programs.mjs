// The two programs as files that need no node_modules but koffi, which is found beside them.
import { build } from 'esbuild';
import { chmodSync, cpSync, mkdirSync, readdirSync, rmSync, statSync } from 'node:fs';
import { join, relative } from 'node:path';
import { root } from './bootstrap.mjs';
import { leaveOut } from './bundle-plugin.mjs';

/** Bundles the agent for these build facts into a folder, which is emptied before. */
export function bundleAgent(folder, facts) {
  return bundle(folder, 'kata-agent', 'packages/agent/dist/main.js', [leaveOut(facts)]);
}

export function bundleClient(folder) {
  return bundle(folder, 'kata-agent-ctl', 'packages/ctl/dist/main.js', []);
}

/** Answers the program's file, and the bytes of JavaScript that it loads at its start and those it may load later. */
async function bundle(folder, name, entry, plugins) {
  rmSync(folder, { recursive: true, force: true });
  mkdirSync(folder, { recursive: true });
  const { metafile } = await build({
    absWorkingDir: root,
    entryPoints: { [name]: entry },
    outdir: folder,
    outExtension: { '.js': '.mjs' },
    chunkNames: 'parts/[name]-[hash]',
    bundle: true,
    // What is imported late is a file of its own, so that it costs nothing until then.
    splitting: true,
    platform: 'node',
    format: 'esm',
    target: 'node20',
    minify: true,
    metafile: true,
    external: ['koffi'],
    plugins,
    banner: {
      js: "import { createRequire as bundleRequire } from 'node:module';\nconst require = bundleRequire(import.meta.url);",
    },
    logLevel: 'warning',
  });
  const file = join(folder, `${name}.mjs`);
  chmodSync(file, 0o755);
  copyKoffi(folder);
  return { file, ...sizes(metafile.outputs, relative(root, file)) };
}

/** What an output imports in its first lines is loaded with it; what it imports by a call is loaded late. */
function sizes(outputs, entry) {
  const atStart = new Set();
  const visit = (path) => {
    if (atStart.has(path) || outputs[path] === undefined) return;
    atStart.add(path);
    for (const { path: next, kind } of outputs[path].imports) if (kind === 'import-statement') visit(next);
  };
  visit(entry);
  const total = (paths) => paths.reduce((sum, path) => sum + outputs[path].bytes, 0);
  const late = Object.keys(outputs).filter((path) => !atStart.has(path));
  return { atStart: total([...atStart]), late: total(late) };
}

/** koffi as it is loaded: neither its sources nor its manual. */
function copyKoffi(folder) {
  const modules = join(root, 'node_modules');
  const platforms = readdirSync(join(modules, '@koromix')).map((platform) => `@koromix/${platform}`);
  for (const name of ['koffi', ...platforms]) {
    const from = join(modules, name);
    cpSync(from, join(folder, 'node_modules', name), {
      recursive: true,
      filter: (path) => !unneeded.includes(relative(from, path)) && (isFolder(path) || needed.test(path)),
    });
  }
}

const unneeded = ['doc', 'lib', 'vendor', 'cnoke.cjs'];
const needed = /\.(c?js|json|node)$|LICENSE/;

function isFolder(path) {
  return statSync(path).isDirectory();
}
