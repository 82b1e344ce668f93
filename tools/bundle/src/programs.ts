// Bundles the two programs. Their only external module is koffi, which the agent's bundle contains.
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
import type { BuildFacts } from '@kata-agent/agent/build-facts';
import { root } from '@kata-agent/setup/bootstrap';
import { build, type BuildOptions, type Metafile, type Plugin } from 'esbuild';
import { omitMethods } from './omit-methods.js';
import { unexpectedRows, searchHandlers } from './search.js';

/** A bundled program. */
export interface BundledProgram {
  readonly file: string;
  /** Bytes of JavaScript that the program loads when it starts. */
  readonly atStart: number;
  /** Bytes that it loads only on demand. */
  readonly onDemand: number;
}

type Outputs = Metafile['outputs'];

const agentEntry = 'packages/agent/dist/main.js';
/** The program that the agent starts to pull and to unpack an image; it finds it by this name, in its own directory. */
export const imageProgramFile: string = 'kata-agent-image.mjs';
const imageEntry = 'packages/image/dist/child/main.js';

const common: BuildOptions = {
  absWorkingDir: root,
  bundle: true,
  platform: 'node',
  target: 'node20',
  minify: true,
  external: ['koffi'],
  logLevel: 'warning',
};

/** CommonJS in a module needs `require`. */
const moduleBanner = {
  js: "import { createRequire as bundleRequire } from 'node:module';\nconst require = bundleRequire(import.meta.url);",
};

/**
 * Bundles the agent for these build facts. Deletes the directory first. Throws if the bundle has code of an
 * omitted method, or lacks code of another.
 */
export async function bundleAgent(directory: string, facts: BuildFacts): Promise<BundledProgram> {
  const bundled = await bundle(directory, 'kata-agent', agentEntry, [omitMethods(facts)], {
    'kata-agent-image': imageEntry,
  });
  await checkHandlers(directory, facts);
  return bundled;
}

/**
 * Bundles the agent as a single script, whose value is a function with two parameters: `require`, which
 * resolves koffi, and the URL that replaces `import.meta.url`. Deletes the directory first, and checks the code
 * as `bundleAgent` does.
 */
export async function bundleAgentAsSingleFile(
  directory: string,
  file: string,
  facts: BuildFacts,
): Promise<void> {
  rmSync(directory, { recursive: true, force: true });
  await build({
    ...common,
    entryPoints: [agentEntry],
    outfile: file,
    format: 'cjs',
    // A script that vm.Script runs has no callback for import(); esbuild converts it into require().
    supported: { 'dynamic-import': false },
    define: { 'import.meta.url': 'programUrl' },
    plugins: [omitMethods(facts)],
    banner: { js: '(function (require, programUrl) {' },
    footer: { js: '})' },
  });
  await checkHandlers(directory, facts);
}

/** Bundles the program that pulls and unpacks images as a single file, and returns its text. */
export async function bundleImageProgram(): Promise<Buffer> {
  const { outputFiles } = await build({
    ...common,
    entryPoints: [imageEntry],
    write: false,
    format: 'esm',
    banner: moduleBanner,
  });
  return Buffer.concat(outputFiles.map(({ contents }) => contents));
}

async function checkHandlers(directory: string, { leftOut }: BuildFacts): Promise<void> {
  const wrong = unexpectedRows(await searchHandlers(directory), leftOut);
  if (wrong.length > 0)
    throw new Error(
      `the bundle has code of omitted methods, or lacks code of others: ${JSON.stringify(wrong)}`,
    );
}

/** Bundles the client. Deletes the directory first. */
export function bundleClient(directory: string): Promise<BundledProgram> {
  return bundle(directory, 'kata-agent-ctl', 'packages/ctl/dist/main.js', []);
}

async function bundle(
  directory: string,
  name: string,
  entry: string,
  plugins: readonly Plugin[],
  others: Readonly<Record<string, string>> = {},
): Promise<BundledProgram> {
  rmSync(directory, { recursive: true, force: true });
  mkdirSync(directory, { recursive: true });
  const { metafile } = await build({
    ...common,
    entryPoints: { [name]: entry, ...others },
    outdir: directory,
    outExtension: { '.js': '.mjs' },
    chunkNames: 'parts/[name]-[hash]',
    // Modules imported on demand become separate files, which cost nothing until they are imported.
    splitting: true,
    format: 'esm',
    metafile: true,
    plugins: [...plugins],
    banner: moduleBanner,
  });
  const file = join(directory, `${name}.mjs`);
  const entryPath = relative(root, file);
  const programs = [file, ...Object.keys(others).map((other) => join(directory, `${other}.mjs`))];
  removeUnreachable(
    metafile.outputs,
    programs.map((program) => relative(root, program)),
  );
  chmodSync(file, 0o755);
  copyKoffi(directory);
  return { file, ...sizes(metafile.outputs, entryPath) };
}

/**
 * Returns the sizes of what is loaded at start and on demand. Static imports are loaded at start, and dynamic
 * ones on demand, except those of the entry, which are the program itself.
 */
function sizes(outputs: Outputs, entry: string): { readonly atStart: number; readonly onDemand: number } {
  const total = (paths: Iterable<string>): number =>
    [...paths].reduce((sum, path) => sum + (outputs[path]?.bytes ?? 0), 0);
  const first = [entry, ...(outputs[entry]?.imports ?? []).map(({ path }) => path)];
  const atStart = total(
    new Set(first.flatMap((path) => [...reachable(outputs, path, ['import-statement'])])),
  );
  return { atStart, onDemand: total(reachable(outputs, entry)) - atStart };
}

function reachable(
  outputs: Outputs,
  entry: string,
  kinds: readonly string[] = ['import-statement', 'dynamic-import', 'require-call'],
): ReadonlySet<string> {
  const found = new Set<string>();
  const visit = (path: string): void => {
    const output = outputs[path];
    if (found.has(path) || output === undefined) return;
    found.add(path);
    for (const { path: next, kind } of output.imports) if (kinds.includes(kind)) visit(next);
  };
  visit(entry);
  return found;
}

/** Removes the files of dynamic imports whose importing code was dropped; the bundler writes them anyway. */
function removeUnreachable(outputs: Outputs, entries: readonly string[]): void {
  const wanted = new Set(entries.flatMap((entry) => [...reachable(outputs, entry)]));
  for (const path of Object.keys(outputs)) if (!wanted.has(path)) rmSync(join(root, path));
}

/**
 * Copies koffi's native libraries into the bundle, with a loader of a few lines instead of koffi's own, whose
 * search for the library takes 4 of 5 ms. The loader tries the library for glibc, then the one for musl:
 * loading the wrong one fails.
 */
function copyKoffi(directory: string): void {
  const target = join(directory, 'node_modules', 'koffi');
  const from = join(root, 'node_modules', 'koffi');
  mkdirSync(target, { recursive: true });
  copyFileSync(join(from, 'LICENSE.txt'), join(target, 'LICENSE.txt'));
  const libraries = nativeLibraries(join(root, 'node_modules', '@koromix'));
  for (const { name, path } of libraries) copyFileSync(path, join(target, name));
  const load = (library: string): string => {
    const found = libraries.find(({ name }) => name.startsWith(library));
    if (found === undefined) throw new Error(`koffi has no library ${library}\nhelp: run npm ci`);
    return `require(${JSON.stringify(`./${found.name}`)})`;
  };
  writeFileSync(
    join(target, 'index.cjs'),
    [
      `try { module.exports = ${load('linux')}; } catch (error) {`,
      `  try { module.exports = ${load('musl')}; } catch { throw error; }`,
      '}\n',
    ].join('\n'),
  );
  const { version, license }: { readonly version: string; readonly license: string } = JSON.parse(
    readFileSync(join(from, 'package.json'), 'utf8'),
  );
  writeFileSync(
    join(target, 'package.json'),
    `${JSON.stringify({ name: 'koffi', version, license, main: 'index.cjs' })}\n`,
  );
}

/** Returns the libraries that npm installed for this platform, such as `linux_x64.node` and `musl_x64.node`. */
function nativeLibraries(directory: string): readonly { readonly name: string; readonly path: string }[] {
  return readdirSync(directory).flatMap((platform) =>
    readdirSync(join(directory, platform), { withFileTypes: true })
      .filter((entry) => entry.isDirectory())
      .map(({ name }) => ({ name: `${name}.node`, path: join(directory, platform, name, 'koffi.node') })),
  );
}
