import type { MessageInitShape } from '@bufbuild/protobuf';
import { AuditUnavailable } from '@kata-agent/audit';
import type { GetCheckpointResponseSchema } from '@kata-agent/protocol/management';
import { Code, TtrpcError } from '@kata-agent/ttrpc';
import type { ManagementContext } from './management-context.js';

/** Signs the audit log as it is on disk. Throws a TtrpcError if it cannot be written: then its end is unknown. */
export async function getCheckpoint({
  audit,
}: Pick<ManagementContext, 'audit'>): Promise<MessageInitShape<typeof GetCheckpointResponseSchema>> {
  try {
    const { checkpoint, first } = await audit.checkpoint();
    return { checkpoint: Buffer.from(checkpoint), first: BigInt(first) };
  } catch (error) {
    if (error instanceof AuditUnavailable) throw new TtrpcError(Code.Unavailable, error.message);
    throw error;
  }
}
