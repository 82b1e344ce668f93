import { Health, HealthCheckResponse_ServingStatus as Status } from '@kata-agent/protocol/health';
import {
  addressesOf,
  cellText,
  type CommandDefinition,
  ExitCode,
  formatBytes,
  print,
  printReport,
  renderTable,
  version as ownVersion,
  withAgent,
  wrap,
} from '@kata-agent/cli';
import { AgentService, GuestDetailsResponseSchema } from '@kata-agent/protocol/agent';
import { type DescribeResponse, DescribeResponseSchema, Management } from '@kata-agent/protocol/management';
import { messageToJson } from '../calls.js';

const answerMs = 10_000;

export const check: CommandDefinition = {
  path: 'check',
  summary: 'check the health of an agent',
  details: [
    'Calls Health.Check, which every configuration serves. Exits with 0 if the agent is serving, else with 1.',
  ],
  examples: [
    { line: 'kata-agent-ctl check -a unix:///run/agent.sock', description: 'Prints "serving".' },
    {
      line: 'kata-agent-ctl check -a hvsock:///run/vm.sock:1024',
      description: 'The same through the vsock socket of a VMM.',
    },
    {
      line: 'kata-agent-ctl check -a tls://10.0.0.7:8443 --cert me.pem --key me.key --pin spki:sha256:HEX',
      description: 'The same through a tls:// listener, as the operator of the certificate.',
    },
  ],
  connects: true,
  formats: true,
  run: async (invocation) => {
    const { status } = await withAgent(invocation, (agent) =>
      agent.call(Health.method.check, {}, { timeoutMs: answerMs }),
    );
    const word = (Status[status] ?? `status ${status}`).toLowerCase().replace('_', ' ');
    await print(invocation, { status: Status[status] ?? status }, () => `${word}\n`);
    return status === Status.SERVING ? ExitCode.Success : ExitCode.Failed;
  },
};

export const version: CommandDefinition = {
  path: 'version',
  summary: 'print the versions of an agent and of this program',
  details: ['Calls Health.Version. Without an address, prints only the version of this program.'],
  examples: [{ line: 'kata-agent-ctl version -a unix:///run/agent.sock', description: 'Prints both.' }],
  connects: true,
  formats: true,
  run: async (invocation) => {
    if (addressesOf(invocation).length === 0) {
      await print(invocation, { ctl: ownVersion }, () => renderTable([['kata-agent-ctl', ownVersion]]));
      return ExitCode.Success;
    }
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
    await printReport(invocation, messageToJson(DescribeResponseSchema, reply), (width) =>
      describeText(reply, width),
    );
    return ExitCode.Success;
  },
};

function describeText(reply: DescribeResponse, width: number): string {
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
    await printReport(invocation, messageToJson(GuestDetailsResponseSchema, reply), () => renderTable(rows));
    return ExitCode.Success;
  },
};
