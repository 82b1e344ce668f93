import type { MessageInitShape } from '@bufbuild/protobuf';
import { AuditUnavailable, CannotProve } from '@kata-agent/audit';
import type { ListenerSettings } from '@kata-agent/config';
import type {
  DescribeResponseSchema,
  GetCheckpointRequest,
  GetCheckpointResponseSchema,
  ListContainersResponseSchema,
  ListenerSchema,
  Management,
} from '@kata-agent/protocol/management';
import { Code, type ServiceImplementation, TtrpcError } from '@kata-agent/ttrpc';
import { type Caller, callerOf } from '../caller.js';
import { version } from '../version.js';
import { attest } from './attest.js';
import type { ManagementContext } from './management-context.js';
import { revokePeer } from './revoke-peer.js';
import { watchAudit } from './watch-audit.js';

/** The management service. The gate has decided before a handler runs. */
export function management(context: ManagementContext): ServiceImplementation<typeof Management, Caller> {
  return {
    describe: async (_request, { connection }) => describe(context, connection),
    listContainers: async () => listContainers(context),
    watchAudit: (request, call) => watchAudit(context, request, call),
    revokePeer: async (request, call) => revokePeer(context, request, callerOf(call)),
    getCheckpoint: async (request, { connection }) => await getCheckpoint(context, request, connection),
    attest: async (request, { connection }) => await attest(context, request, connection),
  };
}

/** Describes the agent to a caller. Other listeners are described to those who may read their records. */
function describe(
  { configuration, bootId, policy, backend, audit, connections, gate }: ManagementContext,
  caller: Pick<Caller, 'listener' | 'rights'>,
): MessageInitShape<typeof DescribeResponseSchema> {
  const own = configuration.listeners.filter(({ name }) => name === caller.listener);
  const readsAll = gate(caller, 'WatchAudit').outcome === 'allow';
  const described = ({
    name,
    address,
    management,
  }: ListenerSettings): MessageInitShape<typeof ListenerSchema> => ({
    name,
    address,
    methods: [...policy.served(name)],
    management: [...management],
    connections: connections.count(name),
  });
  return {
    version,
    bootId,
    configurationDigest: configuration.digest,
    documents: configuration.documents.map(({ file, source, sha256, binding = '' }) => ({
      file,
      source,
      sha256,
      binding,
    })),
    listeners: (readsAll ? configuration.listeners : own).map(described),
    containers: backend.containers()?.length ?? 0,
    auditWritable: audit.writable,
  };
}

/** Characters of a name in Kubernetes, at most. */
const longestName = 253;

/** @throws TtrpcError FAILED_PRECONDITION in forward mode: the inner agent has no such call. */
function listContainers({
  backend,
}: Pick<ManagementContext, 'backend'>): MessageInitShape<typeof ListContainersResponseSchema> {
  const containers = backend.containers();
  if (containers === undefined)
    throw new TtrpcError(
      Code.FailedPrecondition,
      'the containers are not known: this agent forwards calls to another one ([agent] forward)',
    );
  return {
    containers: containers.map(({ id, name, state, exitCode, execs }) => ({
      id,
      // The host chooses it, and a reply that is too large would hide all containers.
      name: name.slice(0, longestName),
      state,
      ...exit(exitCode),
      execs: execs.map((exec) => ({ id: exec.id, ...exit(exec.exitCode) })),
    })),
  };
}

function exit(exitCode: number | undefined): { exitCode?: number } {
  return exitCode === undefined ? {} : { exitCode };
}

type Context = Pick<ManagementContext, 'audit' | 'witnesses' | 'proofs'>;

/**
 * Signs the audit log as it is on disk, with the proof that it begins with the first `oldSize` records.
 *
 * @throws TtrpcError UNAVAILABLE if the log cannot be written: then its end is unknown; OUT_OF_RANGE if it has fewer records,
 * FAILED_PRECONDITION if rotation has removed records that the proof needs, RESOURCE_EXHAUSTED if too many proofs are asked for.
 */
async function getCheckpoint(
  { audit, witnesses, proofs }: Context,
  { oldSize }: Pick<GetCheckpointRequest, 'oldSize'>,
  caller: Parameters<ManagementContext['proofs']['run']>[0],
): Promise<MessageInitShape<typeof GetCheckpointResponseSchema>> {
  try {
    const signed = await audit.checkpoint();
    const { checkpoint, first, size } = signed;
    if (oldSize !== undefined && oldSize > BigInt(size))
      throw new TtrpcError(
        Code.OutOfRange,
        `old_size is ${oldSize}, and this start of the agent has written ${size} records: its log is another one`,
      );
    const consistency =
      oldSize === undefined ? [] : await proofs.run(caller, () => audit.proveSince(Number(oldSize), signed));
    const cosigned = witnesses?.cosigned ?? '';
    return {
      checkpoint: Buffer.from(checkpoint),
      first: BigInt(first),
      cosigned: Buffer.from(cosigned),
      consistency: consistency.map((hash) => Buffer.from(hash, 'hex')),
    };
  } catch (error) {
    if (error instanceof AuditUnavailable) throw new TtrpcError(Code.Unavailable, error.message);
    if (error instanceof CannotProve) throw new TtrpcError(Code.FailedPrecondition, error.message);
    throw error;
  }
}
