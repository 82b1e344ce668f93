import { AgentService } from '@kata-agent/protocol/agent';
import type { CommandDefinition } from '../cli/definition.js';
import { withAgent } from '../connection/with-agent.js';
import { ExitCode } from '../exit-code.js';
import { print } from '../output/print.js';
import { signalNumber } from '../run/signals.js';

export const signal: CommandDefinition = {
  path: 'signal',
  summary: 'send a signal to a container’s process',
  details: [
    'Calls SignalProcess for the first process, or that of an exec. KILL to the first process goes to all processes of the container; TERM becomes KILL for a first process that has no handler for it.',
  ],
  operands: [
    { syntax: '<container>', says: 'the container’s identifier' },
    { syntax: '<signal>', says: 'a name or number: TERM, SIGTERM, 15' },
  ],
  options: [{ flags: '--exec <id>', says: 'an exec’s process instead of the first one' }],
  examples: [{ line: 'kata-agent-ctl signal web TERM', says: 'Asks the container web to end.' }],
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
    return ExitCode.Fine;
  },
};
