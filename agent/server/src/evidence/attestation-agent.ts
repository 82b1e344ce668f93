import { once } from 'node:events';
import { connect as connectSocket } from 'node:net';
import { attestationAgentSocket } from '@kata-agent/catalogue';
import { MeasurementError } from '@kata-agent/measurement';
import { AttestationAgentService } from '@kata-agent/protocol/attestation_agent';
import { connect, createClient, TtrpcError } from '@kata-agent/ttrpc';

/** A quote passes through the host. */
const timeoutMs = 30_000;
/** A quote with its event log has a tenth of it. */
const maxBytes = 1024 * 1024;

/**
 * Asks the attestation agent for a quote of TDX over report data, by GetEvidence. The attestation agent passes the report data on
 * unchanged: whether this one did so, the verifier sees in the quote. Throws a MeasurementError, also for evidence of another kind
 * of guest.
 */
export async function quoteOfAttestationAgent(
  reportData: Uint8Array,
  path: string = attestationAgentSocket,
): Promise<Uint8Array> {
  const socket = connectSocket(path);
  try {
    await once(socket, 'connect');
    const channel = connect(socket, { limits: { streamBufferBytes: maxBytes } });
    try {
      const service = createClient(AttestationAgentService, channel);
      const { Evidence } = await service.getEvidence({ RuntimeData: reportData }, { timeoutMs });
      return parseQuote(Evidence);
    } finally {
      channel.close();
    }
  } catch (error) {
    if (error instanceof TtrpcError)
      throw new MeasurementError(`the attestation agent: ${error.message}`, { cause: error });
    if (error instanceof Error && 'syscall' in error)
      throw new MeasurementError(`the attestation agent at ${path}: ${error.message}`, { cause: error });
    throw error;
  } finally {
    socket.destroy();
  }
}

/** Reads what the attester of TDX returns: `quote`, and an event log that is not used. Throws a MeasurementError. */
function parseQuote(evidence: Uint8Array): Uint8Array {
  if (evidence.length > maxBytes)
    throw new MeasurementError(`the evidence of the attestation agent has ${evidence.length} bytes`);
  let quote: unknown;
  try {
    const value = JSON.parse(new TextDecoder('utf-8', { fatal: true }).decode(evidence)) as unknown;
    quote = typeof value === 'object' && value !== null && 'quote' in value ? value.quote : undefined;
  } catch (error) {
    throw new MeasurementError('the evidence of the attestation agent is not JSON', { cause: error });
  }
  // A report of SNP is taken apart by the attestation agent, in a form that depends on its version.
  if (typeof quote !== 'string')
    throw new MeasurementError(
      'the evidence of the attestation agent is not a quote of TDX: use "configfs-tsm" for SNP',
    );
  return new Uint8Array(Buffer.from(quote, 'base64'));
}
