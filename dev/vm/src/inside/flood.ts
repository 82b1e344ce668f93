// Runs in a developer's guest: a client that calls the agent over vsock repeatedly and reads no response. `node
// flood.mjs ReadStdout|WriteStdin CONTAINER MEGABYTES` prints one JSON object: the bytes sent, and the growth
// of the agent's memory in bytes.
import { create, toBinary } from '@bufbuild/protobuf';
import { once } from 'node:events';
import { readFileSync } from 'node:fs';
import { setTimeout as pause } from 'node:timers/promises';
import { connectVsock, loadSyscalls } from '@kata-agent/linux';
import { AgentService } from '@kata-agent/protocol/agent';
import { agentPort } from './ports.js';

const [method = '', containerId = '', megabytes = ''] = process.argv.slice(2);
const bytes = 32 << 10;
const { readStdout, writeStdin } = AgentService.method;
const payload =
  method === writeStdin.name
    ? toBinary(writeStdin.input, create(writeStdin.input, { containerId, data: Buffer.alloc(bytes) }))
    : toBinary(readStdout.input, create(readStdout.input, { containerId, len: bytes }));
const body = Buffer.concat([
  field(1, Buffer.from('grpc.AgentService')),
  field(2, Buffer.from(method)),
  field(3, payload),
]);

const before = agentMemory();
const socket = await connectVsock(loadSyscalls(), { cid: 1, port: agentPort });
socket.on('error', () => undefined).pause();
let sent = 0;
for (let stream = 1; sent < Number(megabytes) * 2 ** 20; stream += 2) {
  const frame = Buffer.concat([header(stream), body]);
  sent += frame.length;
  if (!socket.write(frame) && !(await drains())) break;
}
console.log(JSON.stringify({ sent, growth: agentMemory() - before }));
socket.destroy();

/**
 * Waits until the agent reads on. Returns false once it has used no CPU time in three consecutive intervals of
 * 500 ms.
 */
async function drains(): Promise<boolean> {
  const drained = once(socket, 'drain').then(() => true);
  for (let idle = 0, last = agentTime(); idle < 3; ) {
    if (await Promise.race([drained, pause(500, false)])) return true;
    const now = agentTime();
    idle = now === last ? idle + 1 : 0;
    last = now;
  }
  return false;
}

/** Returns the agent's resident memory in bytes. */
function agentMemory(): number {
  return Number(/VmRSS:\s+(\d+)/.exec(readFileSync('/proc/1/status', 'utf8'))?.[1]) * 1024;
}

/** Returns the agent's CPU time in clock ticks (proc_pid_stat(5): utime and stime). */
function agentTime(): number {
  const fields = readFileSync('/proc/1/stat', 'latin1')
    .replace(/^.*\) /, '')
    .split(' ');
  return Number(fields[11]) + Number(fields[12]);
}

/** Returns the header of a ttRPC request: length, stream, type 1, no flags. */
function header(stream: number): Buffer {
  const bytes = Buffer.alloc(10);
  bytes.writeUInt32BE(body.length, 0);
  bytes.writeUInt32BE(stream, 4);
  bytes.writeUInt8(1, 8);
  return bytes;
}

/** Encodes a length-delimited field of a protobuf message. */
function field(number: number, value: Uint8Array): Buffer {
  const length: number[] = [];
  let rest = value.length;
  for (; rest > 0x7f; rest >>>= 7) length.push((rest & 0x7f) | 0x80);
  length.push(rest);
  return Buffer.concat([Buffer.from([(number << 3) | 2, ...length]), value]);
}
