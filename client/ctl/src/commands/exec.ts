import { AgentService } from '@kata-agent/protocol/agent';
import { type CommandDefinition, withAgent } from '@kata-agent/cli';
import { attach } from '../run/attach.js';
import { checkIdentifier, execSpec } from '../run/spec.js';
import { SignalForwarder } from '../run/signals.js';
import { freshId, processRequest, workloadOptions } from '../run/workload-options.js';

export const exec: CommandDefinition = {
  path: 'exec',
  summary: 'run a program in a running container',
  details: [
    'The program has the capabilities of the container’s first process; its user, directory and environment are those of the options.',
    'Exits with the program’s exit code; a failure on our side is 125. Signals are forwarded to the program; the third one ends this command, and the program keeps running.',
  ],
  operands: [
    { syntax: '<container>', description: 'the container’s ID' },
    { syntax: '[command...]', description: 'the program and its arguments; may follow --' },
  ],
  options: workloadOptions,
  examples: [
    {
      line: 'kata-agent-ctl exec web -- cat /etc/hostname',
      description: 'Prints a file of the container web.',
    },
    { line: 'kata-agent-ctl exec -it web sh', description: 'Opens a shell in it.' },
  ],
  connects: true,
  workload: true,
  run: async (invocation) => {
    const { operands, options, io } = invocation;
    const [containerId = '', ...words] = operands;
    checkIdentifier(containerId, 'container');
    const process = execSpec(processRequest(invocation, words), io.environment);
    const target = { containerId, execId: freshId('exec') };
    const interactive = options.flag('interactive');
    const terminal = options.flag('tty');
    return await withAgent(invocation, async (agent) => {
      const signals = new SignalForwarder(io.signals);
      try {
        await agent.call(AgentService.method.execProcess, { ...target, process });
        return await attach(agent, io, target, { interactive, terminal, signals });
      } finally {
        signals.stop();
      }
    });
  },
};
