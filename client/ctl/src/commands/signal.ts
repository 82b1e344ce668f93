import { AgentService } from '@kata-agent/protocol/agent';
import { type CommandDefinition, ExitCode, print, withAgent } from '@kata-agent/cli';
import { signalNumber } from '../run/signals.js';

export const signal: CommandDefinition = {
  path: 'signal',
  summary: 'send a signal to a container’s process',
  details: [
    'Calls SignalProcess for the first process, or for an exec. KILL to the first process kills all processes of the container; TERM becomes KILL if the first process has no handler for it.',
  ],
  operands: [
    { syntax: '<container>', description: 'the container’s ID' },
    { syntax: '<signal>', description: 'a name or number: TERM, SIGTERM, 15' },
  ],
  options: [
    { flags: '--exec <id>', description: 'signal the process of this exec instead of the first process' },
  ],
  examples: [{ line: 'kata-agent-ctl signal web TERM', description: 'Sends SIGTERM to the container web.' }],
  connects: true,
  formats: true,
  run: async (invocation) => {
    const [containerId = '', name = ''] = invocation.operands;
    const request = {
      containerId,
      execId: invocation.options.text('exec') ?? '',
      signal: signalNumber(name),
    };
    await withAgent(invocation, (agent) => agent.call(AgentService.method.signalProcess, request));
    await print(invocation, {}, () => '');
    return ExitCode.Success;
  },
};
