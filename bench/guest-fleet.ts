// Many guests in one process: each has a key and an audit log of its own, and the agent's own outgoing connection
// (agent/server/src/listeners/dial), behind which a small server answers what a realm asks.
//
//     node bench/dist/guest-fleet.js DIRECTORY COUNT https://HOST:PORT/PATH CA.pem STEADY-MS
//
// Writes `ready`, and dials when it reads a line. Answers each further line with the number of attempts so far, when all
// records are in the files DIRECTORY/ID/audit.log. Ends with its standard input. STEADY-MS: a connection that lasted less is
// a failure, as in DialOutOptions; 0: the agent's own time.
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { createInterface } from 'node:readline';

import { type AuditLog, followLines, openAuditLog } from '@kata-agent/audit';
import { DialOut, makeOwnIdentity, type OwnIdentity, Revocations } from '@kata-agent/agent/tls';
import { Health, HealthCheckResponse_ServingStatus } from '@kata-agent/protocol/health';
import { Management } from '@kata-agent/protocol/management';
import { createServer, type Server, service } from '@kata-agent/ttrpc';

import type * as recordsModule from '../agent/server/src/listeners/connections.js';
import type * as backoffModule from '../agent/server/src/listeners/dial/backoff.js';
import { agentModule } from './agent-module.js';

/** The records of each log look for new ones so often: the guests share a process, and a realm is measured. */
const followMs = 4_000;

const [directory = '', count = '0', address = '', ca = '', steady = '0'] = process.argv.slice(2);
const { ConnectionRecords } = await agentModule<typeof recordsModule>('listeners/connections.js');
const { dialBackoffMs } = await agentModule<typeof backoffModule>('listeners/dial/backoff.js');
const serverCa = readFileSync(ca, 'utf8');
const steadyMs = Number(steady) === 0 ? {} : { steadyMs: Number(steady) };
let attempts = 0;

interface FleetGuest {
  readonly dialOut: DialOut;
  readonly audit: AuditLog;
}

async function makeGuest(): Promise<FleetGuest> {
  const own = await makeOwnIdentity({ clockFloor: Date.UTC(2026, 0) });
  const file = join(directory, own.pin.replace('spki:sha256:', ''), 'audit.log');
  const audit = await openAuditLog({ file, maxSize: 1 << 24, keep: 1, bootId: 'bench' });
  await audit.boot({ tls: { pin: own.pin } });
  const server = serverOf(file);
  return { audit, dialOut: dialOutOf(own, audit, server) };
}

function dialOutOf(own: OwnIdentity, audit: AuditLog, server: Server<null>): DialOut {
  return new DialOut({
    name: 'realm',
    address,
    peers: [],
    limits: { connections: 1 },
    dial: { serverCa, pins: [], relay: { kind: 'trusted' }, handshakeTimeoutMs: 30_000 },
    own,
    revocations: new Revocations(),
    records: new ConnectionRecords(audit),
    audit,
    log: () => undefined,
    limitUnacknowledged: () => undefined,
    serve: (stream) => void server.serve(stream, null),
    times: {
      ...steadyMs,
      waitMs: (failures, lost) => {
        attempts += 1;
        return dialBackoffMs(failures, lost, Math.random());
      },
    },
  });
}

function serverOf(file: string): Server<null> {
  return createServer<null>({
    services: [
      service<typeof Health, null>(Health, {
        check: async () => ({ status: HealthCheckResponse_ServingStatus.SERVING }),
      }),
      service<typeof Management, null>(Management, {
        describe: async () => ({ version: '1.0', bootId: 'bench', configurationDigest: '1'.repeat(64) }),
        watchAudit: async function* ({ from }, { signal }) {
          for await (const records of followLines(file, {
            from: Number(from ?? 1),
            signal,
            intervalMs: followMs,
          }))
            yield { records: [...records] };
        },
      }),
    ],
  });
}

// Each audit log of a process writes at its exit.
process.setMaxListeners(0);
const guests: FleetGuest[] = [];
while (guests.length < Number(count)) {
  const some = Math.min(50, Number(count) - guests.length);
  guests.push(...(await Promise.all(Array.from({ length: some }, makeGuest))));
}
console.log('ready');
let dialled = false;
for await (const _line of createInterface({ input: process.stdin })) {
  if (dialled) {
    await Promise.all(guests.map(({ audit }) => audit.flush()));
    console.log(attempts);
  } else for (const { dialOut } of guests) dialOut.start();
  dialled = true;
}
process.exit(0);
