// `npm run vm [-- OPTIONS] [COMMAND…]`: boots a guest, and leads `kata-agent-ctl` to the agent in it.
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdirSync, rmSync } from 'node:fs';
import { createServer } from 'node:net';
import { delimiter, join, relative, resolve } from 'node:path';
import { parseArgs } from 'node:util';
import { bootstrapAll, root } from './bootstrap.mjs';
import { stopMachineIn, takeFolder } from './vm-control.mjs';

const usage = `npm run vm [-- OPTIONS] [COMMAND…]
  --config FILE      the configuration in the guest; default: examples/open.toml
  --virtiofs DIR     shares DIR, as Kata does (tag kataShared)
  --disk FILE        a block device; may be repeated
  --memory MB        default: 512
  --append WORDS     words for the kernel's line
  --console FILE     default: build/vm/console.log
  --tpm              a TPM, whose keys are kept in build/vm/tpm
  --with PART        as for npm run image
  --folder DIR       where the image, the console and the agent's socket are; default: build/vm
  --compiled         the packages are compiled: do not look again
  --stop             ends the machine that runs in the folder, from another terminal
COMMAND is run once the agent listens, with KATA_AGENT_ADDRESS set, and the machine ends with it. Without one it runs
until Ctrl-C or --stop; a second Ctrl-C pulls the plug. The exit code is COMMAND's, 0 without one, 1 when no machine comes
up or none is there to stop, 2 for wrong use. Example: npm run vm -- npx kata-agent-ctl check`;

const { values: options, positionals: command } = commandLine();
if (options.help) {
  console.log(usage);
  process.exit(0);
}
const folder = resolve(options.folder ?? join(root, 'build', 'vm'));
if (options.stop) process.exit(await stop());
if (!options.compiled) bootstrapAll('vm');
const { buildVmImage, firstProgram } = await import('./vm-image.mjs');
const { startMachine } = await import('./vm-machine.mjs');
const { agentPort, stopPort, shellPort } = await import('./vm-ports.mjs');
const say = (text) => console.error(`• ${text}`);
/** Resolves with the first wish that all this end. */
let wishEnd;
const endWished = new Promise((resolve) => {
  wishEnd = resolve;
});
let machine;
let wishes = 0;
for (const wish of ['SIGINT', 'SIGTERM']) process.on(wish, () => end(wish));
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
        folder: text,
        compiled: flag,
        stop: flag,
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
  const flags = ['--compiled', '--help', '--stop', '--tpm'];
  let at = 0;
  while (at < words.length && words[at].startsWith('--') && words[at] !== '--')
    at += flags.includes(words[at]) || words[at].includes('=') ? 1 : 2;
  return Math.min(at, words.length);
}

function end(wish) {
  wishes += 1;
  wishEnd(wish);
  if (wishes > 1) machine?.kill();
}

async function stop() {
  if (await stopMachineIn(folder)) {
    console.error('• the machine is off');
    return 0;
  }
  console.error(`no machine runs in ${folder}`);
  return 1;
}

async function main() {
  mkdirSync(folder, { recursive: true });
  let giveBack;
  try {
    giveBack = await takeFolder(folder, () => end('--stop'));
    return await run();
  } catch (error) {
    console.error(error.message);
    return 1;
  } finally {
    await machine?.kill();
    giveBack?.();
  }
}

/** Builds, boots, and stays until the end is wished, by the command's own end if there is one. */
async function run() {
  const config = resolve(options.config ?? join(root, 'examples', 'open.toml'));
  const image = await buildVmImage({ config, with: options.with, out: join(folder, 'image'), say });
  const log = resolve(options.console ?? join(folder, 'console.log'));
  say(`booting; the console is in ${relative(process.cwd(), log)}`);
  const begin = Date.now();
  machine = await startMachine({
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
  const wished = await Promise.race([machine.line(/"msg":"listening"/).then(() => undefined), endWished]);
  if (wished !== undefined) {
    say(`${wished} before the agent listened: the plug is pulled`);
    return 1;
  }
  const seconds = ((Date.now() - begin) / 1000).toFixed(1);
  const socket = join(folder, 'agent.sock');
  rmSync(socket, { force: true });
  const door = createServer({ allowHalfOpen: true }, lead).listen(socket);
  await once(door, 'listening');
  say(`the agent listens, ${seconds} s after power-on`);
  const address = `unix://${socket}`;
  const code = command.length > 0 ? await runCommand(address) : await waitForUser(address);
  door.close();
  say('ending the machine');
  machine.connect(stopPort).on('error', () => undefined);
  await machine.ended;
  say('the machine is off');
  return code;
}

/** Joins a connection of this machine to one of the guest's. */
function lead(near) {
  const far = machine.connect(agentPort);
  for (const [one, other] of [
    [near, far],
    [far, near],
  ]) {
    one.on('error', () => other.destroy());
    one.on('close', () => other.destroy());
    one.pipe(other);
  }
}

/** Its exit code, as a shell tells it. */
async function runCommand(address) {
  const [program, ...args] = command;
  const bin = join(root, 'node_modules', '.bin');
  const child = spawn(program, args, {
    stdio: 'inherit',
    env: { ...process.env, KATA_AGENT_ADDRESS: address, PATH: `${bin}${delimiter}${process.env.PATH ?? ''}` },
  });
  // At Ctrl-C the terminal tells the command too.
  void endWished.then((wish) => wish !== 'SIGINT' && child.kill());
  const [code] = await Promise.race([
    once(child, 'close'),
    once(child, 'error').then(([error]) => {
      console.error(`${program}: ${error.message}`);
      return [127];
    }),
  ]);
  return code ?? 1;
}

async function waitForUser(address) {
  console.error(
    `  export KATA_AGENT_ADDRESS=${address}\n  npx kata-agent-ctl check\nCtrl-C ends it, or npm run vm -- --stop`,
  );
  await Promise.race([endWished, machine.ended]);
  return 0;
}
