import { createHash } from 'node:crypto';
import type { AgentService, CreateContainerRequest } from '@kata-agent/protocol/agent';
import type { Client } from '@kata-agent/ttrpc';

type AgentClient = Client<typeof AgentService>;

/** The read size of Kata's runtimes. */
const readLength = 32 * 1024;

/** Reads a stream of a process to its end. */
export async function readAll(
  agent: AgentClient,
  stream: 'stdout' | 'stderr',
  containerId: string,
  execId = '',
): Promise<Buffer> {
  const chunks: Uint8Array[] = [];
  for (;;) {
    const request = { containerId, execId, len: readLength };
    const { data } = stream === 'stdout' ? await agent.readStdout(request) : await agent.readStderr(request);
    if (data.length === 0) return Buffer.concat(chunks);
    chunks.push(data);
  }
}

/** Creates a container, and returns what its process writes to stdout until it ends. The container is removed. */
export async function outputOf(agent: AgentClient, request: CreateContainerRequest): Promise<string> {
  const { containerId } = request;
  await agent.createContainer(request);
  await agent.startContainer({ containerId });
  const text = (await readAll(agent, 'stdout', containerId)).toString();
  await agent.removeContainer({ containerId });
  return text;
}

/** Reads a stream until its text contains the wanted text; fails at the end of the stream. */
export async function readUntil(
  agent: AgentClient,
  containerId: string,
  wanted: string,
  execId = '',
): Promise<string> {
  let text = '';
  while (!text.includes(wanted)) {
    const { data } = await agent.readStdout({ containerId, execId, len: readLength });
    if (data.length === 0)
      throw new Error(`end of file before ${JSON.stringify(wanted)}: ${JSON.stringify(text)}`);
    text += Buffer.from(data).toString();
  }
  return text;
}

/** Writes everything to a process's stdin, in chunks, and closes it. */
export async function writeAll(
  agent: AgentClient,
  containerId: string,
  data: Uint8Array,
  execId = '',
): Promise<void> {
  for (let offset = 0; offset < data.length; ) {
    const { len } = await agent.writeStdin({
      containerId,
      execId,
      data: data.subarray(offset, offset + readLength),
    });
    offset += len;
  }
  await agent.closeStdin({ containerId, execId });
}

export function sha256(data: Uint8Array): string {
  return createHash('sha256').update(data).digest('hex');
}
