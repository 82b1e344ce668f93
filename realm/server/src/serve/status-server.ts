import { createServer, type Server } from 'node:http';
import type { Bus } from '../bus/bus.js';
import { type HostPort, listen } from '../listener/listen.js';
import type { Metrics } from '../metrics/metrics.js';
import type { OperatorCounts } from '../operators/operator-service.js';
import type { Store } from '../store/store.js';

/** The listener of `--metrics`: plain HTTP with `GET /healthz`, `/readyz` and `/metrics`, and nothing else. */
export class StatusServer {
  readonly #server: Server;

  constructor(metrics: Pick<Metrics, 'text' | 'contentType'>, isReady: () => boolean) {
    this.#server = createServer(
      {
        maxHeaderSize: 8_192,
        headersTimeout: 5_000,
        requestTimeout: 5_000,
        connectionsCheckingInterval: 1_000,
      },
      (request, response) => {
        const answer = (status: number, text: string, type = 'text/plain; charset=utf-8'): void =>
          void response.writeHead(status, { 'Content-Type': type, Connection: 'close' }).end(text);
        if (request.method !== 'GET') return answer(405, 'only GET\n');
        switch (request.url) {
          case '/healthz':
            return answer(200, 'ok\n');
          case '/readyz':
            return isReady() ? answer(200, 'ready\n') : answer(503, 'not ready\n');
          case '/metrics':
            void metrics.text().then(
              (text) => answer(200, text, metrics.contentType),
              (error: Error) => answer(500, `${error.message}\n`),
            );
            return;
          default:
            answer(404, 'GET /healthz, /readyz or /metrics\n');
        }
      },
    );
    this.#server.maxConnections = 64;
    this.#server.on('clientError', (_error, socket) => socket.destroy());
  }

  /** Resolves with the port. */
  listen(address: HostPort): Promise<number> {
    return listen(this.#server, address);
  }

  close(): void {
    this.#server.close();
    this.#server.closeAllConnections();
  }
}

/** Sets the metrics that are read on each scrape. */
export function measureRealm(
  metrics: Metrics,
  {
    counts: { operatorTls, trusted, readers, bytes },
    store: { decisions, space },
    bus,
  }: {
    readonly counts: OperatorCounts;
    readonly store: Pick<Store, 'decisions' | 'space'>;
    readonly bus: Pick<Bus, 'counts'>;
  },
): void {
  metrics.set('kata_realm_decisions_writable', decisions.writable ? 1 : 0);
  metrics.set('kata_realm_store_bytes', space.used);
  metrics.set('kata_realm_store_full', space.isFull ? 1 : 0);
  metrics.set('kata_realm_operator_uses', operatorTls, { kind: 'operator-tls' });
  metrics.set('kata_realm_operator_uses', trusted, { kind: 'trusted' });
  metrics.set('kata_realm_operator_uses', readers, { kind: 'audit' });
  metrics.raise('kata_realm_relayed_bytes_total', bytes.toGuest, { direction: 'to_guest' });
  metrics.raise('kata_realm_relayed_bytes_total', bytes.toOperator, { direction: 'to_operator' });
  const { counts } = bus;
  if (counts === undefined) return;
  metrics.set('kata_realm_bus_connected', counts.isConnected ? 1 : 0);
  metrics.raise('kata_realm_bus_reconnects_total', counts.reconnects);
  metrics.set('kata_realm_bus_pending_requests', counts.pending);
  metrics.set('kata_realm_bus_pipes', counts.pipes);
  metrics.raise('kata_realm_bus_malformed_total', counts.malformed);
}
