import type { MessageInitShape } from '@bufbuild/protobuf';
import { AuditUnavailable } from '@kata-agent/audit';
import { MeasurementError } from '@kata-agent/measurement';
import type { AttestRequest, AttestResponseSchema } from '@kata-agent/protocol/management';
import { Code, TtrpcError } from '@kata-agent/ttrpc';
import { type Caller, callerKey } from '../caller.js';
import type { ManagementContext } from './management-context.js';

const nonceBytes = { min: 32, max: 64 } as const;

/**
 * Returns evidence of the agent, bound to the caller's nonce and connection.
 *
 * @throws TtrpcError INVALID_ARGUMENT for a nonce of another length, FAILED_PRECONDITION without a source of evidence,
 * RESOURCE_EXHAUSTED while many calls wait, UNAVAILABLE if a source or the audit log fails.
 */
export async function attest(
  { attester, configuration }: Pick<ManagementContext, 'attester' | 'configuration'>,
  { nonce }: Pick<AttestRequest, 'nonce'>,
  caller: Pick<Caller, 'listener' | 'exporter' | 'identity' | 'realm'>,
): Promise<MessageInitShape<typeof AttestResponseSchema>> {
  const { listener, exporter, realm } = caller;
  if (nonce.length < nonceBytes.min || nonce.length > nonceBytes.max)
    throw new TtrpcError(
      Code.InvalidArgument,
      `the nonce has ${nonce.length} bytes: it must have ${nonceBytes.min} to ${nonceBytes.max}, random ones`,
    );
  if (attester === undefined)
    throw new TtrpcError(
      Code.FailedPrecondition,
      configuration.evidence.sources.length === 0
        ? 'there is no evidence: the configuration has no [evidence] sources'
        : `there is no evidence: none of ${configuration.evidence.sources.join(', ')} was there when the agent started`,
    );
  const address = configuration.listeners.find(({ name }) => name === listener)?.address ?? '';
  const channel =
    exporter === undefined ? `none:${/^[a-z]+/.exec(address)?.[0] ?? 'other'}` : `tls-exporter:${exporter()}`;
  try {
    return {
      bundle: await attester.attest(nonce, channel, {
        key: `${listener} ${callerKey(caller)}`,
        isServer: realm !== undefined,
      }),
    };
  } catch (error) {
    if (error instanceof MeasurementError || error instanceof AuditUnavailable)
      throw new TtrpcError(Code.Unavailable, error.message, { cause: error });
    throw error;
  }
}
