import { Health, HealthCheckResponse_ServingStatus } from '@kata-agent/protocol/health';
import { type Channel, Code, createClient, TtrpcError } from '@kata-agent/ttrpc';

export interface HealthTimes {
  /** Between two checks. */
  readonly everyMs: number;
  readonly timeoutMs: number;
}

/**
 * Calls Health regularly, which an agent expects of its server: it ends a connection in which it hears nothing. Calls
 * `onFailure` when a check fails, unless `excused` says that the connection is not read because of us. Returns a function
 * that stops it.
 */
export function watchHealth(
  channel: Channel,
  { everyMs, timeoutMs }: HealthTimes,
  excused: () => boolean,
  onFailure: (why: string) => void,
): () => void {
  const health = createClient(Health, channel);
  let timer: NodeJS.Timeout;
  let stopped = false;
  const check = async (): Promise<void> => {
    let failure: string | undefined;
    try {
      const { status } = await health.check({}, { timeoutMs });
      if (status !== HealthCheckResponse_ServingStatus.SERVING) failure = 'it is not serving';
    } catch (error) {
      // It has answered: operators, whose calls wait in it, must not end the connection.
      if (!hasTooManyCalls(error)) failure = (error as Error).message;
    }
    if (stopped) return;
    if (failure !== undefined && !excused()) onFailure(`Health: ${failure}`);
    else later();
  };
  const later = (): void => {
    timer = setTimeout(() => void check(), everyMs).unref();
  };
  later();
  return () => {
    stopped = true;
    clearTimeout(timer);
  };
}

/** Reports whether a guest answers a call in this connection within a time. Never rejects. */
export async function isResponsive(channel: Channel, timeoutMs: number): Promise<boolean> {
  try {
    await createClient(Health, channel).check({}, { timeoutMs });
    return true;
  } catch (error) {
    return hasTooManyCalls(error);
  }
}

/** Reports whether an error is a guest's answer that too many calls wait in the connection: it is there, and full. */
function hasTooManyCalls(error: unknown): boolean {
  return error instanceof TtrpcError && error.code === Code.ResourceExhausted;
}
