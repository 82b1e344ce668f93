// `npm run vm [-- OPTIONS] [COMMAND…]`: boots a guest, and leads `kata-agent-ctl` to the agent in it.
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdirSync, rmSync } from 'node:fs';
import { createServer } from 'node:net';
import { delimiter, join, relative, resolve } from 'node:path';
import { parseArgs } from 'node:util';
import { bootstrapAll, root } from './bootstrap.mjs';

const usage = `npm run vm [-- OPTIONS] [COMMAND…]
  --config FILE      the configuration in the guest; default: examples/open.toml
  --virtiofs DIR     shares DIR, as Kata does (tag kataShared)
  --disk FILE        a block device; may be repeated
  --memory MB        default: 512
  --append WORDS     words for the kernel's line
  --console FILE     default: build/vm/console.log
  --tpm              a TPM, whose keys are kept in build/vm/tpm
  --with PART        as for npm run image
  --compiled         the packages are compiled: do not look again
COMMAND is run once the agent listens, with KATA_AGENT_ADDRESS set, and the machine ends with it. Without one it runs
until Ctrl-C. Example: npm run vm -- npx kata-agent-ctl check`;

const { values: options, positionals: command } = commandLine();
if (options.help) {
  console.log(usage);
  process.exit(0);
}
if (!options.compiled) bootstrapAll('vm');
const { buildVmImage, firstProgram } = await import('./vm-image.mjs');
const { startMachine } = await import('./vm-machine.mjs');
const { agentPort, stopPort, shellPort } = await import('./vm-ports.mjs');
process.exitCode = await main();

function commandLine() {
  const text = { type: 'string' };
  const flag = { type: 'boolean', default: false };
  const several = { type: 'string', multiple: true, default: [] };
  const own = process.argv.slice(2);
  const end = firstWordOfCommand(own);
  try {
    const parsed = parseArgs({
      args: own.slice(0, end),
      options: {
        config: text,
        virtiofs: text,
        disk: several,
        memory: text,
        append: several,
        console: text,
        tpm: flag,
        with: several,
        compiled: flag,
        help: flag,
      },
    });
    return { ...parsed, positionals: own.slice(own[end] === '--' ? end + 1 : end) };
  } catch (error) {
    console.error(`${error.message}\n\n${usage}`);
    process.exit(2);
  }
}

/** Options of the command are its own: ours end at the first word that belongs to none of them. */
function firstWordOfCommand(words) {
  const flags = ['--compiled', '--help', '--tpm'];
  let at = 0;
  while (at < words.length && words[at].startsWith('--') && words[at] !== '--')
    at += flags.includes(words[at]) || words[at].includes('=') ? 1 : 2;
  return Math.min(at, words.length);
}

async function main() {
  const say = (text) => console.error(`• ${text}`);
  const folder = join(root, 'build', 'vm');
  mkdirSync(folder, { recursive: true });
  const config = resolve(options.config ?? join(root, 'examples', 'open.toml'));
  const image = await buildVmImage({ config, with: options.with, out: join(folder, 'image'), say });
  const log = resolve(options.console ?? join(folder, 'console.log'));
  say(`booting; the console is in ${relative(process.cwd(), log)}`);
  const machine = await startMachine({
    kernel: image.kernel.path,
    initrd: image.initrd.path,
    memory: Number(options.memory ?? 512),
    append: [`rdinit=${firstProgram}`, ...options.append],
    forward: [agentPort, stopPort, shellPort],
    disks: options.disk,
    ...(options.virtiofs === undefined ? {} : { share: resolve(options.virtiofs) }),
    ...(options.tpm ? { tpm: join(folder, 'tpm') } : {}),
    console: log,
  });
  try {
    await machine.line(/"msg":"listening"/);
  } catch (error) {
    console.error(error.message);
    return 1;
  }
  const socket = join(folder, 'agent.sock');
  rmSync(socket, { force: true });
  const door = createServer({ allowHalfOpen: true }, (near) => {
    const far = machine.connect(agentPort);
    for (const [one, other] of [
      [near, far],
      [far, near],
    ]) {
      one.on('error', () => other.destroy());
      one.on('close', () => other.destroy());
      one.pipe(other);
    }
  }).listen(socket);
  const address = `unix://${socket}`;
  const code = command.length > 0 ? await runCommand(address) : await waitForUser(address, machine);
  door.close();
  machine.connect(stopPort).on('error', () => undefined);
  await machine.ended;
  say('the machine is off');
  return code;
}

/** Its exit code, as a shell tells it. */
async function runCommand(address) {
  const [program, ...args] = command;
  const bin = join(root, 'node_modules', '.bin');
  const child = spawn(program, args, {
    stdio: 'inherit',
    env: { ...process.env, KATA_AGENT_ADDRESS: address, PATH: `${bin}${delimiter}${process.env.PATH ?? ''}` },
  });
  const [code] = await Promise.race([
    once(child, 'close'),
    once(child, 'error').then(([error]) => {
      console.error(`${program}: ${error.message}`);
      return [127];
    }),
  ]);
  return code ?? 1;
}

async function waitForUser(address, machine) {
  console.error(
    `the agent listens:\n  export KATA_AGENT_ADDRESS=${address}\n  npx kata-agent-ctl check\nCtrl-C ends it`,
  );
  const asked = ['SIGINT', 'SIGTERM'].map((signal) => once(process, signal));
  await Promise.race([...asked, machine.ended]);
  return 0;
}
