import { loadSyscalls } from '@kata-agent/linux';
import { ImageError } from '../errors/image-error.js';
import { pull } from '../pull/pull.js';
import type { PulledImage } from '../pull/pull-request.js';
import { formatReference } from '../reference/reference.js';
import { type PullChildRequest, pullLineLength } from './pull-protocol.js';
import { filterCalls, openAgentSocket, readRequest } from './serve.js';

const progressInterval = 1_000;

/** Filters system calls, then reads one request from the agent, pulls, and ends. */
export async function servePull(agentSocket: number): Promise<void> {
  filterCalls(loadSyscalls(), { network: true });
  const { socket, send } = openAgentSocket(agentSocket);
  const beat = setInterval(() => send({ progress: true }), progressInterval);
  try {
    const { reference, settings, totalMs, userAgent } = (await readRequest(
      socket,
      pullLineLength,
    )) as PullChildRequest;
    // The agent ends the process to end the pull.
    const { signal } = new AbortController();
    const image = await pull({ reference, settings }, { directory: '/blobs', signal, totalMs, userAgent });
    send({ result: resultOf(image) });
  } catch (error) {
    const code = error instanceof ImageError ? error.code : 'child';
    send({ error: { code, message: error instanceof Error ? error.message : String(error) } });
    process.exitCode = 1;
  }
  clearInterval(beat);
  socket.end(() => process.exit());
}

function resultOf({ reference, digest, manifestDigest, config, layers, signatures }: PulledImage): unknown {
  const { labels: _labels, ...declared } = config.process;
  return {
    reference: formatReference(reference),
    digest,
    manifestDigest,
    process: declared,
    layers: layers.map((layer) => ({
      digest: layer.digest,
      diffId: layer.diffId,
      mediaType: layer.mediaType,
    })),
    bytes: layers.reduce((sum, { size }) => sum + size, 0),
    signatures: signatures.map(({ key, format, signed }) => `${key} (${format}, of the ${signed})`),
  };
}
