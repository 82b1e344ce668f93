import { Management } from '@kata-agent/protocol/management';
import {
  checkConsistency,
  parseAgentLogCheckpoint,
  ProofError,
  type TreeHash,
  treeHashOfBytes,
  type UnverifiedCheckpoint,
} from '@kata-agent/tlog';
import { Code } from '@kata-agent/ttrpc';
import {
  CallError,
  type CommandDefinition,
  CommandError,
  ExitCode,
  type Invocation,
  parsed,
  print,
  readCheckpoint,
  withAgent,
} from '@kata-agent/cli';

export const auditCheckpoint: CommandDefinition = {
  path: 'audit checkpoint',
  summary: 'print a signed checkpoint of an agent’s audit log, to be stored elsewhere',
  details: [
    'Calls Management.GetCheckpoint, on a listener whose management names it. The checkpoint is a signed note (C2SP tlog-checkpoint): the name of the log’s key, the number of records that this start of the agent has written, and the root of their Merkle tree (RFC 6962). The signature is printed as the agent sent it; audit verify and audit verify-proof verify it.',
    'With --since, the new checkpoint must continue the older one: the agent sends a proof, and no record is needed to verify it. Exits with 4 if it does not, or is of another start of the agent.',
  ],
  options: [
    {
      flags: '--cosigned',
      description: 'the newest checkpoint that the quorum of witnesses has cosigned, with their signatures',
    },
    {
      flags: '--since <file>',
      description: 'an older checkpoint of the same start of the agent, which the new one must continue',
    },
  ],
  examples: [
    {
      line: 'kata-agent-ctl audit checkpoint -a unix:///run/agent.sock > checkpoint',
      description:
        'Stores a checkpoint; audit verify --checkpoint then finds a log that was changed or truncated.',
    },
    {
      line: 'kata-agent-ctl audit checkpoint -a unix:///run/agent.sock --since checkpoint > next',
      description: 'Stores the next one, which certainly has all records of the first.',
    },
  ],
  connects: true,
  formats: true,
  run: async (invocation) => {
    const since = sinceOf(invocation);
    const cosigned = invocation.options.flag('cosigned');
    const request = since === undefined ? {} : { oldSize: BigInt(since.head.size) };
    const answer = await withAgent(invocation, (agent) =>
      agent.call(Management.method.getCheckpoint, request).catch((error: unknown) => {
        const isShorter = error instanceof CallError && error.code === Code.OutOfRange;
        throw isShorter ? new CommandError(ExitCode.Mismatch, error.serverMessage) : error;
      }),
    );
    if (cosigned && answer.cosigned.length === 0)
      throw new CommandError(
        ExitCode.Mismatch,
        'no quorum of witnesses has cosigned a checkpoint of this log',
        {
          help: [
            'see the agent log for the answer of each [[audit.witness]]; without witnesses omit --cosigned',
          ],
        },
      );
    const text = Buffer.from(cosigned ? answer.cosigned : answer.checkpoint).toString();
    const checkpoint = parsed('the agent’s checkpoint', () => parseAgentLogCheckpoint(text));
    if (since !== undefined) checkContinues(since, checkpoint, answer.consistency);
    const { origin, head } = checkpoint;
    const json = { origin, first: Number(answer.first), size: head.size, root: head.root, checkpoint: text };
    await print(invocation, json, () => text);
    return ExitCode.Success;
  },
};

function sinceOf({ options }: Invocation): UnverifiedCheckpoint | undefined {
  const path = options.text('since');
  if (path === undefined) return undefined;
  if (options.flag('cosigned'))
    throw new CommandError(
      ExitCode.Usage,
      '--since is about the newest checkpoint: it does not go with --cosigned',
    );
  return readCheckpoint(path);
}

function checkContinues(
  since: UnverifiedCheckpoint,
  { origin, head }: UnverifiedCheckpoint,
  proof: readonly Uint8Array[],
): void {
  if (since.origin !== origin)
    throw new CommandError(
      ExitCode.Mismatch,
      `the agent’s log is ${origin}, and the older checkpoint is of ${since.origin}: the agent was started again, or it is another one`,
    );
  try {
    checkConsistency(since.head, head, proof.map(hashOf));
  } catch (error) {
    if (!(error instanceof ProofError)) throw error;
    throw new CommandError(
      ExitCode.Mismatch,
      `the log does not continue the older checkpoint: ${error.message}`,
      {
        help: ['keep both checkpoints: together they show that the log was forked, truncated or changed'],
      },
    );
  }
}

function hashOf(bytes: Uint8Array): TreeHash {
  const hash = treeHashOfBytes(bytes);
  if (hash !== undefined) return hash;
  throw new CommandError(ExitCode.Mismatch, `the agent’s proof has a hash of ${bytes.length} bytes`);
}
