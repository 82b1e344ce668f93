import type { MessageInitShape } from '@bufbuild/protobuf';
import { AuditUnavailable, CannotProve } from '@kata-agent/audit';
import type { GetCheckpointRequest, GetCheckpointResponseSchema } from '@kata-agent/protocol/management';
import { Code, TtrpcError } from '@kata-agent/ttrpc';
import type { ManagementContext } from './management-context.js';

type Context = Pick<ManagementContext, 'audit' | 'witnesses' | 'proofs'>;

/**
 * Signs the audit log as it is on disk, with the proof that it begins with the first `oldSize` records.
 *
 * @throws TtrpcError UNAVAILABLE if the log cannot be written: then its end is unknown; OUT_OF_RANGE if it has fewer records,
 * FAILED_PRECONDITION if rotation has removed records that the proof needs, RESOURCE_EXHAUSTED if too many proofs are asked for.
 */
export async function getCheckpoint(
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
