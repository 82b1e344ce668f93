// Bundles the programs. Their only external module is koffi, which the agent's bundle contains.
import {
  chmodSync,
  copyFileSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  writeFileSync,
} from 'node:fs';
import { dirname, join, relative } from 'node:path';
import type { BuildFacts } from '@kata-agent/agent/build-facts';
import { root } from '@kata-agent/setup/bootstrap';
import { renameUnlessPresent } from '@kata-agent/tool-command/rename-unless-present';
import { pageScript } from '@kata-agent/workbench-page/script';
import { build, type BuildOptions, type Metafile, type Plugin } from 'esbuild';
import { agentFile, checkStart, programFile, writeCodeCache } from './code-cache.js';
import { directImports, isOwn } from './direct-imports.js';
import { omitMethods, omitPuller } from './omit-methods.js';
import { checkOptionalParts, loadedAtStart } from './optional-parts.js';
import { unexpectedRows, searchHandlers } from './search.js';
import { type Range, rangesOf, type SourceMap } from './start-ranges.js';

type Outputs = Metafile['outputs'];

/** Bytes of JavaScript. */
interface Sizes {
  /** That the program runs when it starts. */
  readonly atStart: number;
  /** That it runs only on demand. */
  readonly onDemand: number;
}

/** A bundled program. */
export interface BundledProgram extends Sizes {
  readonly file: string;
  /** Its files, as esbuild describes them. */
  readonly outputs: Outputs;
}

const agentName = 'kata-agent';
const agentEntry = 'agent/server/dist/main.js';
/** The program that the agent starts to pull and to unpack an image; it finds it by this name, in its own directory. */
export const imageProgramFile = 'kata-agent-image.mjs';
const imageEntry = 'agent/puller/dist/child/main.js';
/** The program of the agent's threads for what may wait for the host; the agent finds it by this name, in its own directory. */
const mediaProgramFile = 'kata-agent-media.mjs';
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

/** What an agent is built for. */
export interface AgentBuild {
  readonly facts: BuildFacts;
  /** Whether the program that pulls images is beside it. */
  readonly pullsImages: boolean;
  /** The Node.js that will run it. Another release compiles it at each start. */
  readonly nodePath: string;
}

/**
 * Bundles the agent, its programs and its native library into a directory, which is replaced once all is there. Throws if the bundle
 * has code of an omitted method, lacks code of another, or loads an optional part at its start.
 */
export async function bundleAgent(directory: string, agent: AgentBuild): Promise<BundledProgram> {
  mkdirSync(dirname(directory), { recursive: true });
  const made = mkdtempSync(`${directory}-`);
  try {
    const { outputs, ranges } = await bundleScript(made, agent);
    writeCodeCache(made, ranges, agent.nodePath);
    copyFileSync(join(root, 'image', agentFile), join(made, agentFile));
    writeFileSync(join(made, mediaProgramFile), await bundleText(mediaEntry));
    if (agent.pullsImages) writeFileSync(join(made, imageProgramFile), await bundleText(imageEntry));
    copyKoffi(made);
    checkStart(join(made, agentFile), agent.nodePath);
    chmodSync(made, 0o755);
    rmSync(directory, { recursive: true, force: true });
    renameUnlessPresent(made, directory);
    return { file: join(directory, agentFile), ...sizes(outputs, partOf(made, agentName)), outputs };
  } finally {
    rmSync(made, { recursive: true, force: true });
  }
}

/**
 * Writes the agent as a single script, whose value is a function with two parameters: `require`, which resolves koffi, and the URL
 * that replaces `import.meta.url`. Returns where in it our modules are that the agent has loaded when it listens, and the parts that
 * it would be without being a single script.
 */
async function bundleScript(
  directory: string,
  { facts, pullsImages }: AgentBuild,
): Promise<{ readonly outputs: Outputs; readonly ranges: readonly Range[] }> {
  const plugins = [...(pullsImages ? [] : [omitPuller()]), omitMethods(facts), metricsLibrary()];
  // In parts, only to see what is loaded when.
  const parts = asParts(directory, agentName, agentEntry, [...plugins, directImports()]);
  const {
    metafile: { outputs },
  } = await build({ ...parts, write: false });
  checkOptionalParts({ outputs });
  const { outputFiles } = await build({
    ...common,
    entryPoints: [agentEntry],
    outfile: join(directory, programFile),
    write: false,
    format: 'cjs',
    // A script that vm.Script runs has no callback for import(); esbuild converts it into require().
    supported: { 'dynamic-import': false },
    define: { 'import.meta.url': 'programUrl' },
    plugins: [...plugins, directImports(withoutSourceMap)],
    banner: { js: '(function (require, programUrl) {' },
    footer: { js: '})' },
    sourcemap: 'external',
  });
  const textOf = (name: string): string =>
    outputFiles.find(({ path }) => path === join(directory, name))?.text ?? '';
  const program = textOf(programFile);
  checkCharacters(program);
  writeFileSync(join(directory, programFile), program);
  const own = new Set(loadedAtStart(outputs).filter((path) => isOwn(join(root, path))));
  const lines = program.split('\n');
  const ranges = rangesOf(
    JSON.parse(textOf(`${programFile}.map`)) as SourceMap,
    { line: lines.length - 1, column: lines.at(-1)?.length ?? 0 },
    (source) => own.has(relative(root, join(directory, source))),
  );
  await checkHandlers(directory, facts);
  return { outputs, ranges };
}

/** The bundle's map names the compiled modules then, as the list of what is loaded does, and not their sources. */
function withoutSourceMap(text: string): string {
  return text.replace(/^\/\/# sourceMappingURL=.*$/m, '');
}

/** Bundles a program as a single file, and returns its text. */
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
function checkCharacters(program: string): void {
  const [around] = /.{0,40}[^\x00-\x7f].{0,40}/.exec(program) ?? [];
  if (around !== undefined)
    throw new Error(
      `the agent has a character that is not ASCII: ${around}\nhelp: write it as \\u in the source`,
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
  return bundle(directory, 'kata-agent-ctl', 'client/ctl/dist/main.js', [workbenchPage()]);
}

/** Bundles kata-realm. Deletes the directory first. */
export function bundleRealm(directory: string): Promise<BundledProgram> {
  return bundle(directory, 'kata-realm', 'realm/program/dist/main.js');
}

/** Bundles a program, and the files of what it imports on demand, which cost nothing until they are imported. */
async function bundle(
  directory: string,
  name: string,
  entry: string,
  plugins: readonly Plugin[] = [],
): Promise<BundledProgram> {
  rmSync(directory, { recursive: true, force: true });
  mkdirSync(directory, { recursive: true });
  const {
    metafile: { outputs },
  } = await build(asParts(directory, name, entry, plugins));
  const part = partOf(directory, name);
  removeUnreachable(outputs, part);
  const file = join(root, part);
  chmodSync(file, 0o755);
  copyKoffi(directory);
  return { file, ...sizes(outputs, part), outputs };
}

/** Returns the first part of a program, as esbuild names it. */
function partOf(directory: string, name: string): string {
  return relative(root, join(directory, `${name}.mjs`));
}

function asParts(
  directory: string,
  name: string,
  entry: string,
  plugins: readonly Plugin[] = [],
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
function sizes(outputs: Outputs, entry: string): Sizes {
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

/** Puts the text of the workbench's script into the program, instead of the function that makes it with this bundler. */
function workbenchPage(): Plugin {
  return {
    name: 'workbench-page',
    setup(build) {
      build.onLoad({ filter: /[\\/]workbench-page[\\/]dist[\\/]script\.js$/ }, async () => ({
        contents: `export const pageScript = async () => ${JSON.stringify(await pageScript())};`,
      }));
    },
  };
}
