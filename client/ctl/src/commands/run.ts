import { type CommandDefinition, CommandError, ExitCode, type Invocation, withAgent } from '@kata-agent/cli';
import { containerSpec, processSpec, type RootfsMode } from '../run/spec.js';
import { type RunOptions, runContainer } from '../run/run-session.js';
import { freshId, processRequest, workloadOptions } from '../run/workload-options.js';

export const run: CommandDefinition = {
  path: 'run',
  summary: 'run a program in a new container, and remove the container afterwards',
  details: [
    'Creates a sandbox and a container, starts the program, connects standard streams and signals to this terminal, and removes both when the program ends. Exits with the program’s exit code; a failure on our side is 125.',
    'An agent ends with its sandbox: --keep-sandbox leaves both. An agent that already has a sandbox rejects a second one: --no-sandbox runs the container in the existing sandbox and leaves it.',
    'The container has its own PID, mount, UTS and IPC namespaces, and the guest’s network. Writes to its rootfs go to a layer that is removed with it, unless --writable is given.',
    'Signals are forwarded to the program, which may ignore them; the third one ends the run.',
  ],
  operands: [
    { syntax: '<rootfs>', description: 'a directory in the guest' },
    { syntax: '[command...]', description: 'the program and its arguments; may follow --' },
  ],
  options: [
    ...workloadOptions,
    { flags: '--name <id>', description: 'the container’s ID (default: generated)' },
    { flags: '--hostname <name>', description: 'the container’s hostname (default: its ID)' },
    { flags: '--read-only', description: 'mount the rootfs read-only' },
    { flags: '--writable', description: 'keep writes in the rootfs (default: discard them)' },
    { flags: '--no-sandbox', description: 'use the agent’s existing sandbox' },
    { flags: '--keep-sandbox', description: 'leave the sandbox, and so the agent, running' },
  ],
  examples: [
    {
      line: 'kata-agent-ctl run -a unix:///run/agent.sock /srv/rootfs -- uname -a',
      description: 'Prints the guest’s kernel version, and exits with the exit code of uname.',
    },
    {
      line: 'kata-agent-ctl run -it --keep-sandbox /srv/rootfs sh',
      description: 'Opens a shell with a terminal.',
    },
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
