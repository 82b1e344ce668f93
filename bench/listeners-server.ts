// The measured server of `server.ts`, at all listeners of a configuration: unix sockets, `tls://`, `https://`.
//
//     node bench/dist/listeners-server.js -c CONFIG [OPTIONS OF AN AGENT]
import { once } from 'node:events';
import { createServer, type Socket } from 'node:net';
import { parseArgs } from 'node:util';

import { openAuditLog } from '@kata-agent/audit';

import type * as optionalPartsModule from '../agent/server/src/optional-parts.js';
import type { Caller } from '../agent/server/src/caller.js';
import type * as recordsModule from '../agent/server/src/listeners/connections.js';
import { agentModule } from './agent-module.js';
import { answeringServer } from './answering-server.js';
import { configurationOf } from './configuration.js';

const { values } = parseArgs({
  options: { config: { type: 'string', short: 'c' }, 'state-dir': { type: 'string' } },
});
const { loadTls } = await agentModule<typeof optionalPartsModule>('optional-parts.js');
const { ConnectionRecords } = await agentModule<typeof recordsModule>('listeners/connections.js');
const loaded = await configurationOf(values.config ?? '');
const audit = await openAuditLog({ ...loaded.audit, bootId: 'bench' });
const tls = await loadTls(loaded, Date.UTC(2026, 0));
await audit.boot(tls === undefined ? {} : { tls: { pin: tls.pin } });
const server = await answeringServer(loaded, audit, tls?.revocations);
const serve = (stream: Socket, caller: Caller): void => void server.serve(stream, caller);
const log = (): void => undefined;
for (const settings of loaded.listeners) {
  const { name, address } = settings;
  if (settings.tls !== undefined) await tls?.listen({ ...settings, tls: settings.tls, log, audit, serve });
  else if (settings.dial !== undefined) {
    const records = new ConnectionRecords(audit);
    const rest = { dial: settings.dial, records, log, audit, serve, limitUnacknowledged: log };
    (await tls?.dial({ ...settings, ...rest }))?.start();
  } else {
    const listener = createServer({ allowHalfOpen: true }, (stream) => {
      serve(stream, { listener: name, peer: 'pid 1 uid 0', identity: { kind: 'unix', uid: 0 } });
    });
    listener.listen(address.replace('unix://', ''));
    await once(listener, 'listening');
  }
}
process.once('SIGTERM', () => {
  void server
    .end()
    .then(() => audit.close())
    .then(() => process.exit(0));
});
