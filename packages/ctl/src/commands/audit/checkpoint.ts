import { Management } from '@kata-agent/protocol/management';
import { parseAgentLogCheckpoint } from '@kata-agent/tlog';
import type { CommandDefinition } from '../../cli/definition.js';
import { withAgent } from '../../connection/with-agent.js';
import { ExitCode } from '../../exit-code.js';
import { print } from '../../output/print.js';
import { parsed } from './checkpoint-options.js';

export const auditCheckpoint: CommandDefinition = {
  path: 'audit checkpoint',
  summary: 'print a signed checkpoint of an agent’s audit log, to be stored elsewhere',
  details: [
    'Calls Management.GetCheckpoint, on a listener whose management names it. The checkpoint is a signed note (C2SP tlog-checkpoint): the name of the log’s key, the number of records that this start of the agent has written, and the root of their Merkle tree (RFC 6962). The signature is printed as the agent sent it; audit verify and audit verify-proof verify it.',
  ],
  examples: [
    {
      line: 'kata-agent-ctl audit checkpoint -a unix:///run/agent.sock > checkpoint',
      description:
        'Stores a checkpoint; audit verify --checkpoint then finds a log that was changed or truncated.',
    },
  ],
  connects: true,
  formats: true,
  run: async (invocation) => {
    const { checkpoint, first } = await withAgent(invocation, (agent) =>
      agent.call(Management.method.getCheckpoint, {}),
    );
    const text = Buffer.from(checkpoint).toString();
    const { origin, head } = parsed('the agent’s checkpoint', () => parseAgentLogCheckpoint(text));
    const json = { origin, first: Number(first), size: head.size, root: head.root, checkpoint: text };
    await print(invocation, json, () => text);
    return ExitCode.Success;
  },
};
