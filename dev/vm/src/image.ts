// Images for developers: a guest image plus a relay, which forwards connections from the network device to vsock.
import { mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { root } from '@kata-agent/setup/bootstrap';
import { buildImage, type Image, type ImageRequest } from '@kata-agent/tool-guest-image/build';
import type { Entry } from '@kata-agent/tool-guest-image/tree/archive';
import { build } from 'esbuild';
import { agentPort } from './inside/ports.js';

/** The settings of an image for developers. */
export interface VmImageRequest extends ImageRequest {
  /** Do not add the relay to the listener's peers. */
  readonly unchangedConfig?: boolean;
}

/** A program of this package that runs in a guest. */
export type GuestProgram = 'facts' | 'flood' | 'relay';

/** The path of the first program, for `rdinit=`. */
export const firstProgram = '/vm-init';

/** The directory of the developer's programs in the image. */
export const developerHome = '/usr/lib/kata-agent-vm';

/**
 * Builds an image into the directory `out`. The configuration's listener admits the relay as well as the host
 * (S24). With `unchangedConfig` only the peers of the configuration can call the agent.
 */
export async function buildVmImage({
  config,
  unchangedConfig = false,
  files = [],
  with: wanted = [],
  out,
  level = 3,
  ...rest
}: VmImageRequest): Promise<Image> {
  mkdirSync(out, { recursive: true });
  let adapted: string | undefined;
  if (config !== undefined) {
    const text = readFileSync(config, 'utf8');
    adapted = join(out, 'config.toml');
    writeFileSync(adapted, unchangedConfig ? text : withRelay(text, config));
  }
  return buildImage({
    ...rest,
    config: adapted,
    with: ['loopback', ...wanted],
    files: [...(await relayFiles(out)), ...files],
    level,
    out,
  });
}

/**
 * Returns the document with a listener that admits the relay (CID 1) as well as the host. Throws if the
 * document has listeners, and none admits it.
 */
export function withRelay(text: string, name = 'the configuration'): string {
  if (/^\[\[listener\]\]/m.test(text)) {
    if (/cid:1"|"any"/.test(text)) return text;
    throw new Error(
      `${name}: no listener admits the relay of npm run vm\nhelp: add "cid:1" to the peers of the [[listener]] on port ${agentPort}`,
    );
  }
  const peers = JSON.stringify(['host', 'cid:1']);
  const listener = `[[listener]]\nname = "host"\naddress = "vsock://-1:${agentPort}"\npeers = ${peers}\n`;
  return `${text.replace(/^server_addr *=.*\n/m, '')}\n# Added by npm run vm.\n${listener}`;
}

async function relayFiles(out: string): Promise<readonly Entry[]> {
  const relay = join(out, 'relay.mjs');
  await bundleForGuest('relay', relay);
  return [
    { path: firstProgram, data: readFileSync(join(root, 'image', 'vm', 'init.sh')), mode: 0o755 },
    { path: join(developerHome, 'relay.mjs'), data: readFileSync(relay), mode: 0o644 },
    { path: join(developerHome, 'node_modules'), link: '../kata-agent/node_modules' },
  ];
}

/**
 * Bundles a program into one file for `developerHome`; it imports koffi from the agent's node_modules, which is
 * linked there.
 */
export async function bundleForGuest(program: GuestProgram, outfile: string): Promise<void> {
  await build({
    absWorkingDir: root,
    entryPoints: [fileURLToPath(new URL(`inside/${program}.js`, import.meta.url))],
    outfile,
    bundle: true,
    platform: 'node',
    format: 'esm',
    target: 'node20',
    external: ['koffi'],
    banner: {
      js: "import { createRequire as bundleRequire } from 'node:module';\nconst require = bundleRequire(import.meta.url);",
    },
    logLevel: 'warning',
  });
}
