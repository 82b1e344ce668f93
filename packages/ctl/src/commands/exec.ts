import { AgentService } from '@kata-agent/protocol/agent';
import type { CommandDefinition } from '../cli/definition.js';
import { withAgent } from '../connection/with-agent.js';
import { attach } from '../run/attach.js';
import { checkIdentifier } from '../run/container-spec.js';
import { processSpec } from '../run/process-spec.js';
import { SignalForwarder } from '../run/signals.js';
import { freshId, processRequest, workloadOptions } from '../run/workload-options.js';

export const exec: CommandDefinition = {
  path: 'exec',
  summary: 'run a program in a container that is running',
  details: [
    'The exit code is the program’s; a failure on our side is 125. Signals go to the program; the third one ends this command, and leaves the program running.',
  ],
  operands: [
    { syntax: '<container>', says: 'the container’s identifier' },
    { syntax: '[command...]', says: 'the program and its arguments; -- may stand before it' },
  ],
  options: workloadOptions,
  examples: [
    { line: 'kata-agent-ctl exec web -- cat /etc/hostname', says: 'Reads a file of the container web.' },
    { line: 'kata-agent-ctl exec -it web sh', says: 'A shell in it.' },
  ],
  connects: true,
  workload: true,
  run: async (invocation) => {
    const { operands, options, io } = invocation;
    const [containerId = '', ...words] = operands;
    checkIdentifier(containerId, 'container');
    const process = processSpec(processRequest(invocation, words), io.environment);
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
