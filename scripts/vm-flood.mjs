// Runs inside a developer's guest: a client that calls the agent over vsock again and again and reads no answer.
// `node flood.mjs ReadStdout|WriteStdin CONTAINER MEGABYTES` prints by how much the agent grew meanwhile, as one JSON object.
import { create, toBinary } from '@bufbuild/protobuf';
import { connectVsock, loadSyscalls } from '@kata-agent/linux';
import { AgentService } from '@kata-agent/protocol/agent';
import { once } from 'node:events';
import { readFileSync } from 'node:fs';
import { setTimeout as pause } from 'node:timers/promises';
import { agentPort } from './vm-ports.mjs';

const [method, containerId, megabytes] = process.argv.slice(2);
const { input } = AgentService.methods.find(({ name }) => name === method);
const payload = toBinary(
  input,
  create(
    input,
    method === 'WriteStdin' ? { containerId, data: Buffer.alloc(32 << 10) } : { containerId, len: 32 << 10 },
  ),
);
const body = Buffer.concat([
  field(1, Buffer.from('grpc.AgentService')),
  field(2, Buffer.from(method)),
  field(3, payload),
]);

const before = agentMemory();
const socket = await connectVsock(loadSyscalls(), { cid: 1, port: agentPort });
socket.on('error', () => undefined).pause();
let sent = 0;
for (let stream = 1; sent < megabytes * 2 ** 20; stream += 2) {
  const frame = Buffer.concat([header(stream), body]);
  sent += frame.length;
  if (!socket.write(frame) && !(await drains())) break;
}
console.log(JSON.stringify({ sent, growth: agentMemory() - before }));
socket.destroy();

/** Whether the agent goes on reading: it has stopped when it was idle for as long as it takes to look twice. */
async function drains() {
  const drained = once(socket, 'drain').then(() => true);
  for (let idle = 0, last = agentTime(); idle < 3; ) {
    if (await Promise.race([drained, pause(500, false)])) return true;
    const now = agentTime();
    idle = now === last ? idle + 1 : 0;
    last = now;
  }
  return false;
}

/** Bytes of the agent that are in memory. */
function agentMemory() {
  return Number(/VmRSS:\s+(\d+)/.exec(readFileSync('/proc/1/status', 'utf8'))[1]) * 1024;
}

/** Ticks of the processor that the agent has had (proc_pid_stat(5): utime and stime). */
function agentTime() {
  const fields = readFileSync('/proc/1/stat', 'latin1')
    .replace(/^.*\) /, '')
    .split(' ');
  return Number(fields[11]) + Number(fields[12]);
}

/** Of a ttRPC request: length, stream, type 1, no flags. */
function header(stream) {
  const bytes = Buffer.alloc(10);
  bytes.writeUInt32BE(body.length, 0);
  bytes.writeUInt32BE(stream, 4);
  bytes.writeUInt8(1, 8);
  return bytes;
}

function field(number, value) {
  const length = [];
  let rest = value.length;
  for (; rest > 0x7f; rest >>>= 7) length.push((rest & 0x7f) | 0x80);
  length.push(rest);
  return Buffer.concat([Buffer.from([(number << 3) | 2, ...length]), value]);
}
