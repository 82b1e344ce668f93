// Bundles the programs. Their only external module is koffi, which the agent's bundle contains.
import {
  chmodSync,
  copyFileSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  rmSync,
  writeFileSync,
} from 'node:fs';
import { dirname, join, relative } from 'node:path';
import type { BuildFacts } from '@kata-agent/agent/build-facts';
import { root } from '@kata-agent/setup/bootstrap';
import { build, type BuildOptions, type Metafile, type Plugin } from 'esbuild';
import { directImports } from './direct-imports.js';
import { omitMethods, omitPuller } from './omit-methods.js';
import { checkOptionalParts } from './optional-parts.js';
import { unexpectedRows, searchHandlers } from './search.js';
import { loadedBefore, startFirst } from './start-first.js';

type Outputs = Metafile['outputs'];

/** A bundled program. */
export interface BundledProgram {
  readonly file: string;
  /** Bytes of JavaScript that the program loads when it starts. */
  readonly atStart: number;
  /** Bytes that it loads only on demand. */
  readonly onDemand: number;
  /** Its files, as esbuild describes them. */
  readonly outputs: Outputs;
}

const agentName = 'kata-agent';
const agentEntry = 'agent/server/dist/main.js';
/** What the entry loads at once, since the setup of PID 1 begins before it. */
const agentStart = 'agent/server/dist/program.js';
const imageName = 'kata-agent-image';
/** The program that the agent starts to pull and to unpack an image; it finds it by this name, in its own directory. */
export const imageProgramFile: string = `${imageName}.mjs`;
const imageEntry = 'agent/puller/dist/child/main.js';
const mediaName = 'kata-agent-media';
/** The program of the agent's threads for what may wait for the host; the agent finds it by this name, in its own directory. */
export const mediaProgramFile: string = `${mediaName}.mjs`;
const mediaEntry = 'agent/guest/dist/media-thread/thread.js';

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
  const plugins = agentPlugins(facts);
  const { metafile } = await build({ ...asParts(directory, agentName, agentEntry, plugins), write: false });
  const before = loadedBefore(metafile, agentStart);
  const bundled = await bundle(
    directory,
    agentName,
    agentEntry,
    agentPlugins(facts, startFirst(before, root)),
  );
  await buildParts(directory, imageName, imageEntry, plugins);
  writeFileSync(join(directory, mediaProgramFile), await bundleMediaProgram());
  checkOptionalParts(bundled);
  await checkHandlers(directory, facts);
  return bundled;
}

function agentPlugins(facts: BuildFacts, change?: (text: string, path: string) => string): readonly Plugin[] {
  return [omitMethods(facts), metricsLibrary(), directImports(change)];
}

/** What a single script is for. */
export interface SingleFileOptions {
  readonly facts: BuildFacts;
  /** Whether the program that pulls images is beside it. */
  readonly pullsImages: boolean;
}

/**
 * Bundles the agent as a single script, whose value is a function with two parameters: `require`, which
 * resolves koffi, and the URL that replaces `import.meta.url`. Deletes the directory first, and checks the code
 * as `bundleAgent` does.
 */
export async function bundleAgentAsSingleFile(
  directory: string,
  file: string,
  { facts, pullsImages }: SingleFileOptions,
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
    plugins: [...(pullsImages ? [] : [omitPuller()]), ...agentPlugins(facts)],
    banner: { js: '(function (require, programUrl) {' },
    footer: { js: '})' },
  });
  checkCharacters(file);
  await checkHandlers(directory, facts);
}

/** Bundles the program that pulls and unpacks images as a single file, and returns its text. */
export function bundleImageProgram(): Promise<Buffer> {
  return bundleText(imageEntry);
}

/** Bundles the program of the agent's threads as a single file, and returns its text. */
export function bundleMediaProgram(): Promise<Buffer> {
  return bundleText(mediaEntry);
}

async function bundleText(entry: string): Promise<Buffer> {
  const { outputFiles } = await build({
    ...common,
    entryPoints: [entry],
    write: false,
    format: 'esm',
    plugins: [directImports()],
    banner: moduleBanner,
  });
  return Buffer.concat(outputFiles.map(({ contents }) => contents));
}

/** One character beyond Latin-1 makes V8 keep the whole text of a script with two bytes a character; esbuild escapes all but those of regular expressions. */
function checkCharacters(file: string): void {
  const [around] = /.{0,40}[^\x00-\x7f].{0,40}/.exec(readFileSync(file, 'utf8')) ?? [];
  if (around !== undefined)
    throw new Error(
      `${file} has a character that is not ASCII: ${around}\nhelp: write it as \\u in the source`,
    );
}

async function checkHandlers(directory: string, { leftOut }: BuildFacts): Promise<void> {
  const wrong = unexpectedRows(await searchHandlers(directory), leftOut);
  if (wrong.length > 0)
    throw new Error(
      `the bundle has code of omitted methods, or lacks code of others: ${JSON.stringify(wrong)}`,
    );
}

/** Bundles kata-agent-ctl. Deletes the directory first. */
export function bundleClient(directory: string): Promise<BundledProgram> {
  return bundle(directory, 'kata-agent-ctl', 'client/ctl/dist/main.js', []);
}

/** Bundles kata-realm. Deletes the directory first. */
export function bundleRealm(directory: string): Promise<BundledProgram> {
  return bundle(directory, 'kata-realm', 'realm/program/dist/main.js', []);
}

async function bundle(
  directory: string,
  name: string,
  entry: string,
  plugins: readonly Plugin[],
): Promise<BundledProgram> {
  rmSync(directory, { recursive: true, force: true });
  mkdirSync(directory, { recursive: true });
  const outputs = await buildParts(directory, name, entry, plugins);
  const file = join(directory, `${name}.mjs`);
  chmodSync(file, 0o755);
  copyKoffi(directory);
  return { file, ...sizes(outputs, relative(root, file)), outputs };
}

/** Writes a program, and the files of what it imports on demand, which cost nothing until they are imported. */
async function buildParts(
  directory: string,
  name: string,
  entry: string,
  plugins: readonly Plugin[],
): Promise<Outputs> {
  const { metafile } = await build(asParts(directory, name, entry, plugins));
  removeUnreachable(metafile.outputs, relative(root, join(directory, `${name}.mjs`)));
  return metafile.outputs;
}

function asParts(
  directory: string,
  name: string,
  entry: string,
  plugins: readonly Plugin[],
): BuildOptions & { readonly metafile: true } {
  return {
    ...common,
    entryPoints: { [name]: entry },
    outdir: directory,
    outExtension: { '.js': '.mjs' },
    chunkNames: 'parts/[name]-[hash]',
    splitting: true,
    format: 'esm',
    metafile: true,
    plugins: [...plugins],
    banner: moduleBanner,
  };
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
function removeUnreachable(outputs: Outputs, entry: string): void {
  const wanted = reachable(outputs, entry);
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

/**
 * Bundles what the agent uses of prom-client. Its index also loads metrics of Node.js, for which it loads OpenTelemetry, and kinds of
 * metrics that the agent does not have.
 */
function metricsLibrary(): Plugin {
  return {
    name: 'metrics-library',
    setup(build) {
      build.onLoad({ filter: /[\\/]node_modules[\\/]prom-client[\\/]index\.js$/ }, ({ path }) => ({
        contents: [
          "exports.Counter = require('./lib/counter');",
          "exports.Gauge = require('./lib/gauge');",
          "exports.Registry = require('./lib/registry');",
        ].join('\n'),
        resolveDir: dirname(path),
      }));
    },
  };
}
