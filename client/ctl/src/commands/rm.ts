import { AgentService } from '@kata-agent/protocol/agent';
import { type CommandDefinition, ExitCode, print, withAgent } from '@kata-agent/cli';

const longestSeconds = 3600;

export const rm: CommandDefinition = {
  path: 'rm',
  summary: 'remove a container and kill its processes',
  details: ['Calls RemoveContainer.'],
  operands: [{ syntax: '<container>', description: 'the container’s ID' }],
  options: [
    { flags: '--within <seconds>', description: 'the agent’s timeout for the removal (default: none)' },
  ],
  examples: [{ line: 'kata-agent-ctl rm web', description: 'Removes the container web.' }],
  connects: true,
  formats: true,
  run: async (invocation) => {
    const containerId = invocation.operands[0] ?? '';
    const timeout = invocation.options.whole('within', 1, longestSeconds) ?? 0;
    await withAgent(invocation, (agent) =>
      agent.call(AgentService.method.removeContainer, { containerId, timeout }),
    );
    await print(invocation, {}, () => '');
    return ExitCode.Success;
  },
};
