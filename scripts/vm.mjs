// `npm run vm [-- OPTIONS] [COMMAND…]`: boots a guest, and leads `kata-agent-ctl` to the agent in it.
import { rmSync } from 'node:fs';
import { createServer } from 'node:net';
import { delimiter, join, relative } from 'node:path';
import { bootstrapAll, root } from './bootstrap.mjs';
import { makeFolder } from './command-line.mjs';
import { listenAlone } from './own-socket.mjs';
import { runCommand } from './vm-command.mjs';
import { stopMachineIn, takeFolder } from './vm-control.mjs';
import { agentSocket, usage, vmOptions } from './vm-options.mjs';

const options = commandLine();
if (options.help) {
  console.log(usage);
  process.exit(0);
}
const { folder, command } = options;
if (options.stop) process.exit(await stop());
if (!options.compiled) bootstrapAll('vm');
const { buildVmImage, firstProgram } = await import('./vm-image.mjs');
const { startMachine } = await import('./vm-machine.mjs');
const { chooseAccelerator, describeAccelerator } = await import('./vm-accelerator.mjs');
const { agentPort, stopPort, shellPort } = await import('./vm-ports.mjs');
/** What it takes to stop the agent and power off is a few seconds under TCG. */
const powerOffSeconds = 120;
const say = (text) => console.error(`• ${text}`);
/** Resolves with the first wish that all this end. */
let wishEnd;
const endWished = new Promise((resolve) => {
  wishEnd = resolve;
});
let machine;
let wishes = 0;
for (const wish of ['SIGINT', 'SIGTERM', 'SIGHUP']) process.on(wish, () => end(wish));
process.exitCode = await main();

function commandLine() {
  try {
    return vmOptions(process.argv.slice(2));
  } catch (error) {
    console.error(`${error.message}\n\n${usage}`);
    process.exit(2);
  }
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
  let giveBack;
  try {
    makeFolder('--folder', folder);
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
  const { config, memory, append, disks, share, accel, timeout, console: log } = options;
  const image = await buildVmImage({ config, with: options.with, out: join(folder, 'image'), say });
  if (wishes > 0) {
    say('ended before the machine was booted');
    return 1;
  }
  const runner = describeAccelerator(chooseAccelerator(accel));
  say(`booting under ${runner}; the console is in ${relative(process.cwd(), log)}`);
  const begin = Date.now();
  machine = await startMachine({
    kernel: image.kernel.path,
    initrd: image.initrd.path,
    memory,
    append: [`rdinit=${firstProgram}`, ...append],
    forward: [agentPort, stopPort, shellPort],
    disks,
    share,
    ...(options.tpm ? { tpm: join(folder, 'tpm') } : {}),
    console: log,
    accel,
    limits: timeout === undefined ? {} : { silence: timeout, up: timeout, wait: timeout },
    say,
  });
  const wished = await Promise.race([machine.line(/"msg":"listening"/).then(() => undefined), endWished]);
  if (wished !== undefined) {
    say(`${wished} before the agent listened: the plug is pulled`);
    return 1;
  }
  // A command does not go on without the machine that it is for.
  void machine.ended.then(() => machine.failure !== undefined && wishEnd('the failure of the machine'));
  const seconds = ((Date.now() - begin) / 1000).toFixed(1);
  const socket = join(folder, agentSocket);
  const door = createServer({ allowHalfOpen: true }, lead);
  // Of one that was killed; whoever runs a machine here is alone.
  rmSync(socket, { force: true });
  await listenAlone(door, socket);
  let code;
  try {
    say(`the agent listens, ${seconds} s after power-on`);
    const address = `unix://${socket}`;
    code =
      command.length > 0
        ? await runCommand(command, { env: environment(address), endWished })
        : await waitForUser(address);
  } finally {
    door.close();
    await endMachine();
  }
  return machine.failure === undefined ? code : code || 1;
}

/** In order; when that takes too long the plug is pulled. */
async function endMachine() {
  if (machine.failure === undefined) {
    say('ending the machine');
    machine.connect(stopPort).on('error', () => undefined);
  }
  await machine.poweredOff(powerOffSeconds);
  if (machine.failure !== undefined) console.error(machine.report);
  say('the machine is off');
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

function environment(address) {
  const bin = join(root, 'node_modules', '.bin');
  return { ...process.env, KATA_AGENT_ADDRESS: address, PATH: `${bin}${delimiter}${process.env.PATH ?? ''}` };
}

async function waitForUser(address) {
  console.error(
    `  export KATA_AGENT_ADDRESS=${quoted(address)}\n  npx kata-agent-ctl check\nCtrl-C ends it, or npm run vm -- --stop`,
  );
  await Promise.race([endWished, machine.ended]);
  return 0;
}

/** A word as a shell takes it. */
function quoted(word) {
  return /^[\w./:@-]+$/.test(word) ? word : `'${word.replaceAll("'", "'\\''")}'`;
}
