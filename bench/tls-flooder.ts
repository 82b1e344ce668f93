// A flood of a tls:// listener, in a separate process: `node tls-flooder.js CASE HOST PORT FILE`. The file has a certificate and
// its key, as JSON. It runs until it is killed, two minutes at most.
import { readFileSync } from 'node:fs';
import { connect as connectPlain, type Socket } from 'node:net';
import { setTimeout as delay } from 'node:timers/promises';
import { connect, createSecureContext } from 'node:tls';

const [, , name = '', host = '', port = '', file = ''] = process.argv;
const place = { host, port: Number(port) };
const own = JSON.parse(readFileSync(file, 'utf8')) as { readonly cert?: string; readonly key?: string };

/** Keeps so many connections open that say nothing. */
async function holdOpen(count: number): Promise<never> {
  const open = new Set<Socket>();
  for (;;) {
    while (open.size < count) {
      const socket = connectPlain(place);
      open.add(socket);
      socket.on('error', () => undefined);
      socket.once('close', () => open.delete(socket));
      if (open.size % 50 === 0) await delay(1);
    }
    await delay(10);
  }
}

/** Opens so many connections a second, of which at most 1,000 are open. */
async function openEachSecond(perSecond: number, open: () => Socket): Promise<never> {
  const begin = performance.now();
  // Not variables of the loop: each turn of it would have its own.
  let opened = 0;
  let live = 0;
  for (;;) {
    const due = ((performance.now() - begin) / 1_000) * perSecond;
    while (opened < due && live < 1_000) {
      opened += 1;
      live += 1;
      const socket = open();
      socket.on('error', () => undefined);
      socket.once('close', () => (live -= 1));
    }
    await delay(1);
  }
}

const secureContext = createSecureContext({ ...own, minVersion: 'TLSv1.3' });

/** Begins a handshake, and closes the connection after it. */
function shakeHands(): Socket {
  const socket = connect({
    ...place,
    secureContext,
    ALPNProtocols: ['kata-agent-ttrpc'],
    // The benchmark's own agent, whose key it does not verify.
    rejectUnauthorized: false,
  });
  socket.once('secureConnect', () => setTimeout(() => socket.destroy(), 500));
  return socket;
}

/** Opens a connection that says nothing, and closes it after a second if it is not closed before. */
function saysNothing(): Socket {
  const socket = connectPlain(place);
  setTimeout(() => socket.destroy(), 1_000);
  return socket;
}

setTimeout(() => process.exit(), 120_000);
switch (name) {
  case 'half-open':
    await holdOpen(1_000);
    break;
  case 'half-open-each-second':
    await openEachSecond(1_000, saysNothing);
    break;
  default:
    await openEachSecond(1_000, shakeHands);
}
