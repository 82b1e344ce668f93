import { type DescribeResponse, DescribeResponseSchema, Management } from '@kata-agent/protocol/management';
import { messageToJson } from '../calls/json.js';
import {
  cellText,
  type CommandDefinition,
  ExitCode,
  print,
  renderTable,
  withAgent,
  wrap,
} from '@kata-agent/cli';

const width = 100;

export const describe: CommandDefinition = {
  path: 'describe',
  summary: 'print an agent’s configuration digest, listeners and what they serve',
  details: [
    'Calls Management.Describe, on a listener whose management names it. Other listeners are described if this one may also call WatchAudit.',
  ],
  examples: [
    {
      line: 'kata-agent-ctl describe -a unix:///run/agent.sock',
      description: 'Prints the version, the digest and the listeners.',
    },
  ],
  connects: true,
  formats: true,
  run: async (invocation) => {
    const reply = await withAgent(invocation, (agent) => agent.call(Management.method.describe, {}));
    await print(invocation, messageToJson(DescribeResponseSchema, reply), () => describeText(reply));
    return ExitCode.Success;
  },
};

function describeText(reply: DescribeResponse): string {
  const { version, bootId, configurationDigest, documents, listeners, containers, auditWritable } = reply;
  const general = [
    ['version', version],
    ['boot', bootId],
    ['configuration', configurationDigest],
    ...documents.map(({ file, source, sha256 }) => ['document', `${file} (${source}) ${sha256}`]),
    ['containers', String(containers)],
    ['audit log', auditWritable ? 'writable' : 'cannot be written'],
  ];
  const blocks = listeners.map(({ name, address, connections, methods, management }) =>
    [
      `\nlistener ${cellText(name)} at ${cellText(address)}, ${connections} ${connections === 1 ? 'connection' : 'connections'}\n`,
      wrap(cellText(`methods: ${methods.join(' ') || 'none'}`), width, '  '),
      wrap(cellText(`management: ${management.join(' ') || 'none'}`), width, '  '),
    ].join(''),
  );
  return renderTable(general) + blocks.join('');
}
