import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { repository } from '../harness/repository.js';
import { sourceFiles } from '../harness/source-files.js';

/** The files that read the wall clock, which the host sets, with the reason. Timers of Node.js use the monotonic clock. */
const readers: Readonly<Record<string, string>> = {
  'agent/guest/src/context/guest-context.ts': 'whether SetGuestDateTime would set the clock back',
  'agent/guest/src/removal/remove-tree.ts': 'a file name',
  'agent/server/src/listeners/dial/dial-out.ts':
    'whether the certificate of a server is valid at connect; the end of the connection is a timer',
  'agent/server/src/listeners/dial/connect-server.ts':
    'whether the certificate of a witness is valid at connect',
  'agent/server/src/listeners/dial/relayed-connections.ts':
    'when the certificate of the server expires; the end of the connection is a timer',
  'agent/server/src/listeners/tls/callers-engine.ts':
    'whether a certificate is valid at connect; the end of the connection is a timer',
  'agent/server/src/side-channels/log-stream.ts': 'the time in a line of the agent log',
  'agent/server/src/start/settle-guest.ts': 'whether the clock is below its floor, once',
  'agent/server/src/log.ts': 'the time in a line of the agent log',
  'agent/server/src/witnesses/witnesses.ts': 'whether the certificate of a witness is valid at connect',
  'client/ctl/src/commands/audit/records.ts': 'the beginning of --since 15m; not in the guest',
  'client/ctl/src/commands/evidence/inputs.ts':
    'when certificates and collateral are checked; not in the guest',
  'client/ctl/src/commands/report.ts': 'when a report was made; not in the guest',
  'lib/cli/src/connection/with-agent.ts': 'when certificates and collateral are checked; not in the guest',
  'lib/audit/src/clock.ts': 'the wall time of an audit record',
};

test('no timeout is measured by the wall clock (S16)', () => {
  // The clock of a realm is the tenant's own.
  const inGuest = ['agent', 'client', 'lib'].flatMap((product) => sourceFiles(product, /(?<!\.test)\.ts$/));
  const found = inGuest.filter((path) =>
    /\bDate\.now\b|\bnew Date\(\)/.test(readFileSync(join(repository, path), 'utf8')),
  );
  assert.deepEqual([...found].sort(), Object.keys(readers).sort());
});
