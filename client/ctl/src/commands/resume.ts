import { AgentService } from '@kata-agent/protocol/agent';
import { type CommandDefinition, ExitCode, print, withAgent } from '@kata-agent/cli';

export const resume: CommandDefinition = {
  path: 'resume',
  summary: 'resume a paused container',
  details: ['Calls ResumeContainer.'],
  operands: [{ syntax: '<container>', description: 'the container’s ID' }],
  examples: [{ line: 'kata-agent-ctl resume web', description: 'Resumes the container web.' }],
  connects: true,
  formats: true,
  run: async (invocation) => {
    const containerId = invocation.operands[0] ?? '';
    await withAgent(invocation, (agent) => agent.call(AgentService.method.resumeContainer, { containerId }));
    await print(invocation, {}, () => '');
    return ExitCode.Success;
  },
};
