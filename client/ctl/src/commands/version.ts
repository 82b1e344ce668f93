import { answerMs } from './check.js';
import { Health } from '@kata-agent/protocol/health';
import {
  type CommandDefinition,
  ExitCode,
  print,
  renderTable,
  version as ownVersion,
  withAgent,
} from '@kata-agent/cli';

export const version: CommandDefinition = {
  path: 'version',
  summary: 'print the versions of an agent and of this program',
  details: ['Calls Health.Version. For this program’s version only: kata-agent-ctl --version.'],
  examples: [{ line: 'kata-agent-ctl version -a unix:///run/agent.sock', description: 'Prints both.' }],
  connects: true,
  formats: true,
  run: async (invocation) => {
    const reply = await withAgent(invocation, (agent) =>
      agent.call(Health.method.version, {}, { timeoutMs: answerMs }),
    );
    const rows = [
      ['kata-agent-ctl', ownVersion],
      ['agent', reply.agentVersion],
      ['protocol', reply.grpcVersion],
    ];
    const value = { ctl: ownVersion, agent: reply.agentVersion, protocol: reply.grpcVersion };
    await print(invocation, value, () => renderTable(rows));
    return ExitCode.Success;
  },
};
