// The measured server: the agent's own gate, log and interceptors (agent/server/src/server.ts), with a guest that
// answers at once, as Go's bench-server does.
//
//     node bench/dist/server.js SOCKET [AUDIT-LOG]
import { once } from 'node:events';
import { readFileSync } from 'node:fs';
import { createServer } from 'node:net';

import { type AuditLog, openAuditLog } from '@kata-agent/audit';

import { answeringServer } from './answering-server.js';
import { configuration } from './configuration.js';

/** A log that stores nothing: the server's cost without one. */
const noLog: AuditLog = {
  intent: () => Promise.resolve(0),
  outcome: () => undefined,
  repeats: () => false,
  observe: () => undefined,
  refuse: () => undefined,
  boot: () => Promise.resolve(),
  writable: true,
  hasReserve: true,
  failure: undefined,
  checkpoint: async () => ({ first: 1, size: 0, checkpoint: '' }),
  treeSize: 0,
  follow: () => ({ hasNext: false, take: () => undefined, close: () => undefined }),
  checkpointRound: async () => ({ first: 1, size: 0, checkpoint: '' }),
  proveSince: async () => [],
  storeCosigned: () => Promise.resolve(),
  flush: () => Promise.resolve(),
  close: () => Promise.resolve(),
};

const [socket, auditFile] = process.argv.slice(2);
if (socket === undefined) throw new Error('usage: server.js SOCKET [AUDIT-LOG]');
const loaded = await configuration();
const [own] = loaded.listeners;
if (own === undefined) throw new Error('the configuration has no listener');
const bootId = readFileSync('/proc/sys/kernel/random/boot_id', 'utf8').trim();
const audit =
  auditFile === undefined
    ? noLog
    : await openAuditLog({
        ...loaded.audit,
        file: auditFile,
        bootId,
      });
const server = await answeringServer(loaded, audit);
const listener = createServer((stream) => {
  server.serve(stream, {
    listener: own.name,
    peer: 'pid 1 uid 0',
    identity: { kind: 'unix', uid: 0 },
  });
});
listener.listen(socket);
await once(listener, 'listening');
console.log('ready');
process.stdin.resume();
await once(process.stdin, 'end');
listener.close();
await server.end();
await audit.close();
