import { AgentService, GuestDetailsResponseSchema } from '@kata-agent/protocol/agent';
import { messageToJson } from '../calls/json.js';
import {
  type CommandDefinition,
  ExitCode,
  formatBytes,
  print,
  renderTable,
  withAgent,
} from '@kata-agent/cli';

export const guest: CommandDefinition = {
  path: 'guest',
  summary: 'print details of an agent and its guest',
  details: ['Calls GetGuestDetails.'],
  examples: [{ line: 'kata-agent-ctl guest -a unix:///run/agent.sock', description: 'Prints a table.' }],
  connects: true,
  formats: true,
  run: async (invocation) => {
    const reply = await withAgent(invocation, (agent) =>
      agent.call(AgentService.method.getGuestDetails, { memBlockSize: true, memHotplugProbe: true }),
    );
    const details = reply.agentDetails;
    const list = (words: readonly string[] | undefined): string => (words ?? []).join(' ') || 'none';
    const yes = (flag: boolean | undefined): string => (flag === true ? 'yes' : 'no');
    const rows = [
      ['version', details?.version ?? 'unknown'],
      ['init process', yes(details?.initDaemon)],
      ['seccomp', yes(details?.supportsSeccomp)],
      ['storage drivers', list(details?.storageHandlers)],
      ['device drivers', list(details?.deviceHandlers)],
      ['extra features', list(details?.extraFeatures)],
      ['memory block size', reply.memBlockSizeBytes === 0n ? 'none' : formatBytes(reply.memBlockSizeBytes)],
      ['memory hotplug by probe', yes(reply.supportMemHotplugProbe)],
    ];
    await print(invocation, messageToJson(GuestDetailsResponseSchema, reply), () => renderTable(rows));
    return ExitCode.Success;
  },
};
