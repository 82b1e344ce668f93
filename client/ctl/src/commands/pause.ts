import { AgentService } from '@kata-agent/protocol/agent';
import { type CommandDefinition, ExitCode, print, withAgent } from '@kata-agent/cli';

export const pause: CommandDefinition = {
  path: 'pause',
  summary: 'freeze a container’s processes',
  details: [
    'Calls PauseContainer. The processes keep their memory and get no CPU time until kata-agent-ctl resume.',
  ],
  operands: [{ syntax: '<container>', description: 'the container’s ID' }],
  examples: [{ line: 'kata-agent-ctl pause web', description: 'Freezes the container web.' }],
  connects: true,
  formats: true,
  run: async (invocation) => {
    const containerId = invocation.operands[0] ?? '';
    await withAgent(invocation, (agent) => agent.call(AgentService.method.pauseContainer, { containerId }));
    await print(invocation, {}, () => '');
    return ExitCode.Success;
  },
};
