// `npm run vm [-- OPTIONS] [COMMAND…]`: boots a guest and connects `kata-agent-ctl` to its agent.
import { rmSync } from 'node:fs';
import { createServer, type Socket } from 'node:net';
import { delimiter, join, relative } from 'node:path';
import { installAll, root } from '@kata-agent/setup/bootstrap';
import { commandLine, createDirectory, messageOf } from '@kata-agent/tool-command/command-line';
import { listenExclusively } from '@kata-agent/tool-command/exclusive-socket';
import { lockDirectory, runCommand, stopMachineIn } from './command/control.js';
import { agentSocket, usage, vmOptions } from './command/options.js';
import { buildVmImage, firstProgram } from './image.js';
import { agentPort, shellPort, stopPort } from './inside/ports.js';
import { chooseAccelerator, describeAccelerator } from './machine/accelerator.js';
import type { Machine } from './machine/machine.js';
import { startMachine } from './machine/start-machine.js';

const options = commandLine(usage, vmOptions);
const { directory, command } = options;
if (options.stop) process.exit(await stop());
if (!options.compiled) installAll('vm');
/** The guest powers off within a few seconds, even under TCG. */
const powerOffSeconds = 120;
const printProgress = (text: string): void => console.error(`• ${text}`);
let requestStop: (reason: string) => void = () => undefined;
/** Resolves with the reason of the first stop request: a signal's name, `--stop`, or a failure of the machine. */
const stopRequested = new Promise<string>((resolve) => {
  requestStop = resolve;
});
let running: Machine | undefined;
let requests = 0;
for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP'] as const)
  process.on(signal, () => handleRequest(signal));
process.exitCode = await main();

/** Requests a stop; the second request kills the machine. */
function handleRequest(reason: string): void {
  requests += 1;
  requestStop(reason);
  if (requests > 1) void running?.kill();
}

async function stop(): Promise<number> {
  if (await stopMachineIn(directory)) {
    console.error('• the machine is off');
    return 0;
  }
  console.error(`no machine runs in ${directory}`);
  return 1;
}

async function main(): Promise<number> {
  let unlock: (() => void) | undefined;
  try {
    createDirectory('--directory', directory);
    unlock = await lockDirectory(directory, () => handleRequest('--stop'));
    return await run();
  } catch (error) {
    console.error(messageOf(error));
    return 1;
  } finally {
    await running?.kill();
    unlock?.();
  }
}

/** Builds the image, boots it, and runs the command or waits for a stop request. Returns the exit code. */
async function run(): Promise<number> {
  const { config, memory, append, disks, share, accel, timeout, console: log } = options;
  const image = await buildVmImage({
    config,
    with: options.with,
    out: join(directory, 'image'),
    printProgress,
  });
  if (requests > 0) {
    printProgress('stopped before the machine was booted');
    return 1;
  }
  const accelerator = describeAccelerator(chooseAccelerator(accel));
  printProgress(`booting under ${accelerator}; the console is in ${relative(process.cwd(), log)}`);
  const begin = Date.now();
  const machine = await startMachine({
    kernel: image.kernel.path,
    initrd: image.initrd.path,
    memory,
    append: [`rdinit=${firstProgram}`, ...append],
    forward: [agentPort, stopPort, shellPort],
    disks,
    share,
    ...(options.tpm ? { tpm: join(directory, 'tpm') } : {}),
    console: log,
    accel,
    limits: timeout === undefined ? {} : { silence: timeout, up: timeout, wait: timeout },
    printProgress,
  });
  running = machine;
  const reason = await Promise.race([machine.line(/"msg":"listening"/).then(() => undefined), stopRequested]);
  if (reason !== undefined) {
    printProgress(`${reason} before the agent listened: killing the machine`);
    return 1;
  }
  // The command is terminated if the machine fails.
  void machine.ended.then(() => {
    if (machine.failure !== undefined) requestStop('the machine failed');
  });
  const seconds = ((Date.now() - begin) / 1000).toFixed(1);
  const socket = join(directory, agentSocket);
  const server = createServer({ allowHalfOpen: true }, (client) => forward(client, machine));
  // A killed process left its socket; the lock on the directory excludes another running one.
  rmSync(socket, { force: true });
  await listenExclusively(server, socket);
  let code: number;
  try {
    printProgress(`the agent listens, ${seconds} s after power-on`);
    const address = `unix://${socket}`;
    const [program, ...args] = command;
    code =
      program !== undefined
        ? await runCommand([program, ...args], { env: environment(address), stopRequested })
        : await waitForUser(address, machine);
  } finally {
    server.close();
    await stopMachine(machine);
  }
  return machine.failure === undefined ? code : code || 1;
}

/** Stops the agent, which powers the machine off; kills the machine if that takes too long. */
async function stopMachine(machine: Machine): Promise<void> {
  if (machine.failure === undefined) {
    printProgress('stopping the machine');
    machine.connect(stopPort).on('error', () => undefined);
  }
  await machine.poweredOff(powerOffSeconds);
  if (machine.failure !== undefined) console.error(machine.report);
  printProgress('the machine is off');
}

/** Forwards a connection to the agent's port of the guest. */
function forward(client: Socket, machine: Machine): void {
  const agent = machine.connect(agentPort);
  for (const [from, to] of [
    [client, agent],
    [agent, client],
  ] as const) {
    from.on('error', () => to.destroy());
    from.on('close', () => to.destroy());
    from.pipe(to);
  }
}

/** The environment of the command: the agent's address, and the programs of this checkout in PATH. */
function environment(address: string): NodeJS.ProcessEnv {
  const bin = join(root, 'node_modules', '.bin');
  return {
    ...process.env,
    KATA_AGENT_ADDRESS: address,
    PATH: `${bin}${delimiter}${process.env['PATH'] ?? ''}`,
  };
}

/** Prints how to use the agent, and waits for a stop request or the end of the machine. */
async function waitForUser(address: string, machine: Machine): Promise<number> {
  console.error(
    `  export KATA_AGENT_ADDRESS=${quoted(address)}\n  npx kata-agent-ctl check\nstop it with Ctrl-C or npm run vm -- --stop`,
  );
  await Promise.race([stopRequested, machine.ended]);
  return 0;
}

/** Quotes a word for a shell. */
function quoted(word: string): string {
  return /^[\w./:@-]+$/.test(word) ? word : `'${word.replaceAll("'", "'\\''")}'`;
}
