// The agent of an image: the bundle that other images take, and the one of a guest without the puller. Both are built once for the
// same inputs: each boot of `npm run vm`, and most tests of virtual machines, ask for an agent that was built before.
import { createHash } from 'node:crypto';
import {
  cpSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  statSync,
  utimesSync,
} from 'node:fs';
import { join } from 'node:path';
import { root } from '@kata-agent/setup/bootstrap';
import { packageDirectories } from '@kata-agent/setup/products';
import { type AgentBuild, bundleAgent } from '@kata-agent/tool-bundle/programs';
import { renameUnlessPresent } from '@kata-agent/tool-command/rename-unless-present';

/** An agent. */
export interface BuiltAgent {
  /** The files of a guest, by name. */
  readonly files: ReadonlyMap<string, Buffer>;
  /** The directory of the bundle. */
  readonly bundle: string;
}

/** After which time without use a built agent is removed. */
const unusedMs = 24 * 3_600_000;

/** Returns the agent for these facts and this Node.js, from a directory of them, in which it is built at first. */
export async function builtAgent(
  directory: string,
  options: Omit<AgentBuild, 'nodePath'>,
  node: { readonly path: string; readonly sha256: string },
): Promise<BuiltAgent> {
  const inputs = [options, node.sha256, digestOf(sources())];
  const place = join(
    directory,
    createHash('sha256').update(JSON.stringify(inputs)).digest('hex').slice(0, 32),
  );
  const bundle = join(place, 'bundle');
  const guest = options.pullsImages ? bundle : join(place, 'guest');
  mkdirSync(directory, { recursive: true });
  removeUnused(directory);
  if (!existsSync(place)) {
    const made = mkdtempSync(join(directory, 'made-'));
    try {
      const agent = { ...options, nodePath: node.path };
      await bundleAgent(join(made, 'bundle'), { ...agent, pullsImages: true });
      if (!options.pullsImages) await bundleAgent(join(made, 'guest'), agent);
      renameUnlessPresent(made, place);
    } finally {
      rmSync(made, { recursive: true, force: true });
    }
  }
  utimesSync(place, new Date(), new Date());
  return {
    files: new Map(
      readdirSync(guest, { withFileTypes: true })
        .filter((entry) => entry.isFile())
        .map(({ name }) => [name, readFileSync(join(guest, name))]),
    ),
    bundle,
  };
}

/** All that the agent is built from: the compiled packages, also those that build it, what npm has installed, and files of the compiler's run. */
function sources(): readonly string[] {
  return [
    join(root, 'package-lock.json'),
    join(root, 'image', 'kata-agent.cjs'),
    join(root, 'examples', 'confidential.toml'),
    ...packageDirectories
      .filter((each) => /^(?:lib|agent|guest-image)\//.test(each))
      .flatMap((each) => compiledFiles(join(root, each, 'dist'))),
  ];
}

function compiledFiles(directory: string): readonly string[] {
  return readdirSync(directory, { recursive: true, encoding: 'utf8' })
    .filter((name) => name.endsWith('.js') && !name.endsWith('.test.js'))
    .sort()
    .map((name) => join(directory, name));
}

function digestOf(paths: readonly string[]): string {
  const digest = createHash('sha256');
  for (const path of paths) digest.update(`${path}\0`).update(readFileSync(path)).update('\0');
  return digest.digest('hex');
}

function removeUnused(directory: string): void {
  for (const name of readdirSync(directory)) {
    const path = join(directory, name);
    const { mtimeMs = Date.now() } = statSync(path, { throwIfNoEntry: false }) ?? {};
    if (Date.now() - mtimeMs > unusedMs) rmSync(path, { recursive: true, force: true });
  }
}

/** Copies a bundle to where the caller of a build finds it. Replaces what is there. */
export function copyBundle(bundle: string, to: string): void {
  rmSync(to, { recursive: true, force: true });
  cpSync(bundle, to, { recursive: true });
}
