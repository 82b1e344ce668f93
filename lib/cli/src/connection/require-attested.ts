import { randomBytes } from 'node:crypto';
import type { ReferenceValues } from '@kata-agent/evidence';
import { CommandError } from '../command/command-error.js';
import { ExitCode } from '../command/exit-code.js';
import { attestConnection } from './attest-connection.js';
import type { AgentConnection } from './agent-connection.js';

/** How long evidence may take: a quote passes through the host, and several callers wait for each other. */
const patienceMs = 60_000;

/**
 * Calls Attest with a new nonce, as the first and only call of a connection so far, and verifies that the evidence is of the agent
 * at the other end of this very TLS connection: its key, and the exporter as this end computes it. A proxy that ends TLS and
 * passes the call on to a real guest has another exporter with each of the two. Rejects with a CommandError; then nothing else has
 * been sent.
 */
export async function requireAttested(connection: AgentConnection, values: ReferenceValues): Promise<void> {
  const { EvidenceFormError, noCollateral, parseBundle, verifyEvidence } = await import(
    '@kata-agent/evidence'
  );
  const nonce = new Uint8Array(randomBytes(32));
  const { bundle, channel, tlsSpki } = await attestConnection(connection, nonce, patienceMs);
  if (channel === undefined || tlsSpki === undefined)
    throw new CommandError(ExitCode.Usage, '--attested needs a TLS connection with the agent itself');
  try {
    const { verified, result, links } = verifyEvidence(
      parseBundle(bundle),
      values,
      {
        nonce: Buffer.from(nonce).toString('hex'),
        channel,
        tlsSpki,
      },
      { collateral: noCollateral, at: Date.now() },
    );
    if (verified) return;
    throw notAttested(
      result,
      links
        .filter(({ state, waived }) => state !== 'ok' && !waived)
        .map(({ name, state, what }) => `${name}: ${state}: ${what}`),
    );
  } catch (error) {
    if (error instanceof EvidenceFormError) throw notAttested(error.message, [], error);
    throw error;
  }
}

function notAttested(result: string, links: readonly string[], cause?: Error): CommandError {
  return new CommandError(ExitCode.Mismatch, `the agent does not match the reference values: ${result}`, {
    help: ['only Attest was called; compare the values of --reference with the links below', ...links],
    ...(cause === undefined ? {} : { cause }),
  });
}
