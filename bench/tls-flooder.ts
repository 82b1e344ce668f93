// A flood of a tls:// listener, in a separate process: `node tls-flooder.js CASE HOST PORT FILE`. The file has a certificate and
// its key, as JSON. It runs until it is killed.
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

/** Begins so many handshakes a second, and closes each that is complete. */
async function shakeHands(perSecond: number): Promise<never> {
  const secureContext = createSecureContext({ ...own, minVersion: 'TLSv1.3' });
  const begin = performance.now();
  for (let begun = 0, open = 0; ; ) {
    const due = ((performance.now() - begin) / 1_000) * perSecond;
    while (begun < due && open < 1_000) {
      begun += 1;
      open += 1;
      const socket = connect({
        ...place,
        secureContext,
        ALPNProtocols: ['kata-agent-ttrpc'],
        // The benchmark's own agent, whose key it does not verify.
        rejectUnauthorized: false,
      });
      socket.on('error', () => undefined);
      socket.once('close', () => (open -= 1));
      socket.once('secureConnect', () => setTimeout(() => socket.destroy(), 500));
    }
    await delay(1);
  }
}

await (name === 'half-open' ? holdOpen(1_000) : shakeHands(1_000));
