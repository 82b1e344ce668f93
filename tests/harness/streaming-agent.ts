// An agent without containers, whose execs print a file from a line on, which their arguments say (`tail -c +N FILE`), with one
// fault in the output of one of them:
//
//     node streaming-agent.js SOCKET FILE none|lost|reordered|foreign|more|early-end
import { readFileSync } from 'node:fs';
import { createServer as listen } from 'node:net';
import { AgentService } from '@kata-agent/protocol/agent';
import { Health } from '@kata-agent/protocol/health';
import { Code, createServer, service, TtrpcError } from '@kata-agent/ttrpc';

const [socket = '', file = '', fault = ''] = process.argv.slice(2);
const lineLength = 16;
/** The bytes that an exec prints, and how many of them were read. */
const outputs = new Map<string, { readonly bytes: Buffer; read: number }>();

function outputOf(first: number): Buffer {
  const bytes = readFileSync(file).subarray(first);
  const line = (index: number): Buffer => bytes.subarray(index * lineLength, (index + 1) * lineLength);
  switch (fault) {
    case 'lost':
      return Buffer.concat([bytes.subarray(0, 100 * lineLength), bytes.subarray(101 * lineLength)]);
    case 'reordered':
      return Buffer.concat([line(1), line(0), bytes.subarray(2 * lineLength)]);
    case 'foreign':
      return bytes.subarray(lineLength);
    case 'more':
      return Buffer.concat([bytes, line(0)]);
    case 'early-end':
      return bytes.subarray(0, -lineLength);
    default:
      return bytes;
  }
}

const agent = service(AgentService, {
  createSandbox: () => ({}),
  destroySandbox: () => ({}),
  createContainer: () => ({}),
  startContainer: () => ({}),
  removeContainer: () => ({}),
  getGuestDetails: () => ({}),
  statsContainer: () => ({}),
  waitProcess: () => ({ status: 0 }),
  execProcess({ execId, process: program }) {
    const first = Number(program?.Args[2]) - 1;
    // The first exec has the output of the file itself: the fault is in the one after it.
    outputs.set(execId, {
      bytes: first === lineLength ? outputOf(first) : readFileSync(file).subarray(first),
      read: 0,
    });
    return {};
  },
  readStdout({ execId, len }) {
    const output = outputs.get(execId);
    if (output === undefined || output.read === output.bytes.length)
      throw new TtrpcError(Code.Unknown, 'EOF');
    const data = output.bytes.subarray(output.read, output.read + len);
    output.read += data.length;
    return { data };
  },
});
const health = service(Health, { check: () => ({}), version: () => ({}) });
const server = createServer({ services: [agent, health], onFault: (error) => console.error(error) });
listen((stream) => server.serve(stream, undefined)).listen(socket);
