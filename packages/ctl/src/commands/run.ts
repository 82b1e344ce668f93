import type { CommandDefinition, Invocation } from '../cli/definition.js';
import { CommandError } from '../command-error.js';
import { withAgent } from '../connection/with-agent.js';
import { ExitCode } from '../exit-code.js';
import { containerSpec, type RootfsMode } from '../run/container-spec.js';
import { processSpec } from '../run/process-spec.js';
import { type RunOptions, runContainer } from '../run/run-session.js';
import { freshId, processRequest, workloadOptions } from '../run/workload-options.js';

export const run: CommandDefinition = {
  path: 'run',
  summary: 'run a program in a new container, and remove it afterwards',
  details: [
    'Makes a sandbox and a container, starts the program, connects its standard streams and signals to this terminal, and removes both when it has ended. The exit code is the program’s; a failure on our side is 125.',
    'An agent ends with its sandbox: --keep-sandbox leaves both. An agent that has a sandbox already refuses a second one: --no-sandbox runs the container in the one that is there and leaves it.',
    'The container has its own processes, mounts, hostname and IPC, and the guest’s network. What it writes to its rootfs goes to a layer that is removed with it, unless --writable is given.',
    'Signals go to the program, which may take no notice of them; the third one ends the run.',
  ],
  operands: [
    { syntax: '<rootfs>', says: 'a directory in the guest' },
    { syntax: '[command...]', says: 'the program and its arguments; -- may stand before it' },
  ],
  options: [
    ...workloadOptions,
    { flags: '--name <id>', says: 'the container’s identifier (default: one that is new)' },
    { flags: '--hostname <name>', says: 'the container’s hostname (default: its identifier)' },
    { flags: '--read-only', says: 'the program cannot write to the rootfs' },
    { flags: '--writable', says: 'what it writes stays in the rootfs (default: it is lost)' },
    { flags: '--no-sandbox', says: 'use the sandbox that the agent has' },
    { flags: '--keep-sandbox', says: 'leave the sandbox, and with it the agent' },
  ],
  examples: [
    {
      line: 'kata-agent-ctl run -a unix:///run/agent.sock /srv/rootfs -- uname -a',
      says: 'Prints what the kernel says, and ends with the exit code of uname.',
    },
    { line: 'kata-agent-ctl run -it --keep-sandbox /srv/rootfs sh', says: 'A shell in a terminal.' },
  ],
  connects: true,
  workload: true,
  run: async (invocation) => {
    const request = runOptions(invocation);
    return await withAgent(invocation, (agent) => runContainer(agent, invocation.io, request));
  },
};

function runOptions(invocation: Invocation): RunOptions {
  const { operands, options, io } = invocation;
  const [rootfs = '', ...words] = operands;
  const id = options.text('name') ?? freshId('run');
  const hostname = options.text('hostname') ?? id.slice(0, 63);
  return {
    container: containerSpec({
      id,
      rootfs,
      rootfsMode: rootfsMode(invocation),
      hostname,
      process: processSpec(processRequest(invocation, words), io.environment),
    }),
    containerId: id,
    hostname,
    sandbox: sandboxChoice(invocation),
    interactive: options.flag('interactive'),
    terminal: options.flag('tty'),
  };
}

function rootfsMode({ options }: Invocation): RootfsMode {
  const readOnly = options.flag('readOnly');
  const writable = options.flag('writable');
  if (readOnly && writable) {
    throw new CommandError(ExitCode.Usage, '--read-only and --writable exclude each other');
  }
  return readOnly ? 'read-only' : writable ? 'writable' : 'layer';
}

function sandboxChoice({ options }: Invocation): RunOptions['sandbox'] {
  const existing = options.negated('sandbox');
  const keep = options.flag('keepSandbox');
  if (existing && keep) {
    throw new CommandError(ExitCode.Usage, '--no-sandbox and --keep-sandbox exclude each other');
  }
  return existing ? 'existing' : keep ? 'keep' : 'own';
}
