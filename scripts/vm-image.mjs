// The image that a developer boots: a guest's, and a relay from the machine's network to its vsock.
import { mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { build } from 'esbuild';
import { agentPort } from './vm-ports.mjs';
import { root } from './bootstrap.mjs';
import { buildImage } from './image-build.mjs';

/** Where the kernel finds the first program of such an image. */
export const firstProgram = '/vm-init';

/** Where the developer's programs are in it. */
export const developerHome = '/usr/lib/kata-agent-vm';

/**
 * Builds it into a folder. The configuration's listener lets the relay in beside the host (S24), unless it is taken
 * `asItIs`: then nobody but the host, which is not there, can call the agent.
 */
export async function buildVmImage({
  config,
  asItIs = false,
  files = [],
  with: wanted = [],
  out,
  level = 3,
  ...rest
}) {
  mkdirSync(out, { recursive: true });
  let adapted;
  if (config !== undefined) {
    const text = readFileSync(config, 'utf8');
    adapted = join(out, 'config.toml');
    writeFileSync(adapted, asItIs ? text : withRelay(text, config));
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

/** The document with a listener that the relay may use as well as the host. */
export function withRelay(text, name = 'the configuration') {
  if (/^\[\[listener\]\]/m.test(text)) {
    if (/cid:1"|"any"/.test(text)) return text;
    throw new Error(
      `${name}: no [[listener]] lets the relay of npm run vm in: add "cid:1" to the peers of the one on port ${agentPort}`,
    );
  }
  const peers = JSON.stringify(['host', 'cid:1']);
  const listener = `[[listener]]\nname = "host"\naddress = "vsock://-1:${agentPort}"\npeers = ${peers}\n`;
  return `${text.replace(/^server_addr *=.*\n/m, '')}\n# Added by npm run vm.\n${listener}`;
}

async function relayFiles(out) {
  const relay = join(out, 'relay.mjs');
  await bundleForGuest('vm-relay', relay);
  return [
    { path: firstProgram, data: readFileSync(join(root, 'image', 'vm', 'init.sh')), mode: 0o755 },
    { path: join(developerHome, 'relay.mjs'), data: readFileSync(relay) },
    { path: join(developerHome, 'node_modules'), link: '../kata-agent/node_modules' },
  ];
}

/** One of the scripts as a single file for `developerHome`, where it finds the agent's koffi. */
export async function bundleForGuest(script, outfile) {
  await build({
    absWorkingDir: root,
    entryPoints: [`scripts/${script}.mjs`],
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
