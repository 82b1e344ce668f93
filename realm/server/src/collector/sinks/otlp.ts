import { CompressionAlgorithm, OTLPExporterError } from '@opentelemetry/otlp-exporter-base';
import {
  convertLegacyHttpOptions,
  createOtlpHttpExportDelegate,
} from '@opentelemetry/otlp-exporter-base/node-http';
import {
  type IExportLogsServiceResponse,
  type ISerializer,
  LogsExporterMetricsHelper,
  ProtobufLogsSerializer,
} from '@opentelemetry/otlp-transformer';
import type { ReadableLogRecord } from '@opentelemetry/sdk-logs';
import { Backoff, Semaphore } from '@kata-agent/base';
import { SeverityNumber } from '@opentelemetry/api-logs';
import type { Forwarder, SentLine, SentLog } from './forwarded-logs.js';
import { type LogIdentity, recordFields, severityOf } from './record-fields.js';
import type { SinkOptions } from './open-sink.js';
import type { SinkTls } from './sink-address.js';

export interface OtlpOptions extends SinkOptions {
  /** With the path: `https://HOST:PORT/v1/logs`. */
  readonly url: string;
  readonly tls: SinkTls;
  /** For an export, with the attempts that the exporter makes itself. */
  readonly timeoutMs: number;
  readonly version: string;
}

const exportsAtOnce = 8;
/** Between exports after one that failed. */
const firstRetryMs = 500;
const lastRetryMs = 30_000;

/**
 * Sends records by OTLP/HTTP with OpenTelemetry's exporter, which is called directly: its batch processor drops records. A record
 * that is not acknowledged is sent again, so that it can arrive more than once, and always arrives or is reported as rejected.
 */
export class OtlpForwarder implements Forwarder {
  /** Only the position. */
  readonly keep = { lines: 1, bytes: 1 };
  readonly #options: OtlpOptions;
  readonly #exports = new Semaphore(exportsAtOnce);
  readonly #backoff = new Backoff({ firstMs: firstRetryMs, lastMs: lastRetryMs });
  readonly #common = new Map<string, OtlpCommon>();
  readonly #exporter: ReturnType<
    typeof createOtlpHttpExportDelegate<ReadableLogRecord[], IExportLogsServiceResponse>
  >;
  /** What the exporter has read last: it calls back in the same turn. Undefined: no answer of the protocol. */
  #response: IExportLogsServiceResponse | undefined;

  constructor(options: OtlpOptions) {
    const { url, tls, timeoutMs } = options;
    this.#options = options;
    const configuration = convertLegacyHttpOptions(
      {
        url,
        timeoutMillis: timeoutMs,
        concurrencyLimit: exportsAtOnce,
        compression: CompressionAlgorithm.GZIP,
        // No session is resumed: Node.js compares no name then.
        httpAgentOptions: { ...tls, keepAlive: true, maxSockets: exportsAtOnce, maxCachedSessions: 0 },
      },
      'LOGS',
      'v1/logs',
      { 'Content-Type': 'application/x-protobuf' },
    );
    const serializer: ISerializer<ReadableLogRecord[], IExportLogsServiceResponse> = {
      serializeRequest: (records) => ProtobufLogsSerializer.serializeRequest(records),
      deserializeResponse: (bytes) => {
        this.#response = undefined;
        this.#response = bytes.length === 0 ? {} : ProtobufLogsSerializer.deserializeResponse(bytes);
        return this.#response;
      },
    };
    this.#exporter = createOtlpHttpExportDelegate(
      configuration,
      serializer,
      'otlp_http_log_exporter',
      LogsExporterMetricsHelper,
      undefined,
    );
  }

  async ready(): Promise<void> {
    await this.#backoff.wait(this.#options.signal);
  }

  /** Nothing is sent again that was acknowledged. */
  attach(): () => void {
    return () => undefined;
  }

  async send(log: SentLog, lines: readonly SentLine[]): Promise<void> {
    await this.#exports.run(() => this.#send(log, lines));
  }

  async #send(log: SentLog, lines: readonly SentLine[]): Promise<void> {
    const { agent } = log.identity;
    let rejected: { readonly count: number; readonly why: string } | undefined;
    try {
      rejected = await this.#export(log, lines);
    } catch (error) {
      const half = Math.ceil(lines.length / 2);
      if (isTooLarge(error) && lines.length > 1) {
        await this.#send(log, lines.slice(0, half));
        await this.#send(log, lines.slice(half));
        return;
      }
      throw new Error(`${this.#options.url}: ${reasonOf(error)}; again in ${this.#backoff.failed()} ms`, {
        cause: error,
      });
    }
    this.#backoff.succeeded();
    if (rejected === undefined) return;
    const { count, why } = rejected;
    const path = await log.persistRejected(lines, why);
    this.#options.onEvent({ kind: 'rejected', agent, count, why, path });
  }

  /** Returns what the receiver has rejected, if it has. Rejects if it has not acknowledged them. */
  async #export(
    { identity }: SentLog,
    lines: readonly SentLine[],
  ): Promise<{ readonly count: number; readonly why: string } | undefined> {
    const { agent } = identity;
    const common = this.#common.get(agent) ?? otlpCommon(agent, this.#options.version);
    this.#common.set(agent, common);
    const now = Date.now();
    const records = lines.map((line) => otlpRecord(line, identity, common, now));
    const response = await this.#answered(records);
    const { rejectedLogRecords = 0, errorMessage = '' } = response.partialSuccess ?? {};
    if (rejectedLogRecords <= 0) return undefined;
    return { count: rejectedLogRecords, why: errorMessage || 'the receiver gives no reason' };
  }

  #answered(records: ReadableLogRecord[]): Promise<IExportLogsServiceResponse> {
    const { signal } = this.#options;
    return new Promise((resolve, reject) => {
      const stop = (): void => reject(new Error('the collector ends'));
      if (signal.aborted) stop();
      signal.addEventListener('abort', stop, { once: true });
      this.#exporter.export(records, ({ error }) => {
        signal.removeEventListener('abort', stop);
        const response = this.#response;
        this.#response = undefined;
        if (error !== undefined) reject(error);
        // The exporter takes any answer of a proxy for a success.
        else if (response === undefined) reject(new Error('the answer is not one of OTLP'));
        else resolve(response);
      });
    });
  }

  async close(): Promise<void> {
    // Not forceFlush: what is not acknowledged is sent again.
  }
}

function isTooLarge(error: unknown): boolean {
  return error instanceof OTLPExporterError && error.code === 413;
}

function reasonOf(error: unknown): string {
  if (!(error instanceof OTLPExporterError)) return (error as Error).message;
  const { code, message, data = '' } = error;
  const text = data.replace(/[^\x20-\x7e]+/g, ' ').slice(0, 256);
  return [code === undefined ? '' : `HTTP ${code}`, message, text].filter((part) => part !== '').join(' ');
}

/** What all records of an export have: the identity of these objects groups them. */
type OtlpCommon = Pick<ReadableLogRecord, 'resource' | 'instrumentationScope'>;

/** Returns what the records of an agent have in common. */
export function otlpCommon(agent: string, version: string): OtlpCommon {
  const attributes = { 'service.name': 'kata-agent', 'service.instance.id': agent };
  const resource: ReadableLogRecord['resource'] = {
    attributes,
    merge: () => resource,
    getRawAttributes: () => Object.entries(attributes),
  };
  return { resource, instrumentationScope: { name: 'kata-realm collect', version } };
}

/** Returns an audit record as a log record of OpenTelemetry: the line is its body, unchanged. */
export function otlpRecord(
  { line, record }: SentLine,
  log: LogIdentity,
  common: OtlpCommon,
  observedMs: number,
): ReadableLogRecord {
  const attributes: Record<string, string | number> = {};
  for (const { otel, of } of recordFields) {
    const value = otel === undefined ? undefined : of({ log, record });
    if (otel !== undefined && value !== undefined) attributes[otel] = value;
  }
  const severityText = severityOf(record).otel;
  return {
    ...common,
    hrTime: hrTime(Date.parse(record.wall)),
    hrTimeObserved: hrTime(observedMs),
    severityNumber: SeverityNumber[severityText],
    severityText,
    eventName: `kata.audit.${record.kind}`,
    body: line.toString('latin1'),
    attributes,
    droppedAttributesCount: 0,
  };
}

/** Seconds and nanoseconds. A time that no clock has is 0: unknown. */
function hrTime(ms: number): [number, number] {
  if (!(ms >= 0)) return [0, 0];
  return [Math.floor(ms / 1_000), (ms % 1_000) * 1_000_000];
}
