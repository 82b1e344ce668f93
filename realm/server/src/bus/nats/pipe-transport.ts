import type { NatsConnection } from '@nats-io/transport-node';
import { RemoteRefusedError } from '../bus.js';
import type { Pipe, PipeEnd, PipeTransport } from '../pipe.js';
import { unavailable } from './replica-messages.js';
import { subjects } from './subjects.js';

/** Frames of pipes over NATS. */
export interface NatsPipeTransport extends PipeTransport {
  /** How many ends are open here. */
  readonly open: number;
}

/** Returns how frames of pipes are sent over NATS. */
export function pipeTransport(nc: NatsConnection): NatsPipeTransport {
  let open = 0;
  return {
    get open() {
      return open;
    },
    send: (pipe, end, bytes) => {
      if (!nc.isClosed()) nc.publish(subjects.pipe(pipe, end), bytes);
    },
    receive: (pipe: string, end: PipeEnd, onBytes) => {
      const subscription = nc.subscribe(subjects.pipe(pipe, end), {
        callback: (error, message) => {
          if (error === null) onBytes(message.data);
        },
      });
      open += 1;
      return () => {
        open -= 1;
        subscription.unsubscribe();
      };
    },
  };
}

/** Resolves when the other end of a pipe is open. Rejects with a RemoteRefusedError. */
export async function openedInTime(pipe: Pipe, opened: Promise<void>, timeoutMs: number): Promise<void> {
  let timer: NodeJS.Timeout | undefined;
  const late = new Promise<never>((_resolve, reject) => {
    timer = setTimeout(() => reject(new RemoteRefusedError(unavailable)), timeoutMs);
    pipe.once('close', () => reject(new RemoteRefusedError(unavailable)));
  });
  try {
    await Promise.race([opened, late]);
  } finally {
    clearTimeout(timer);
  }
}
