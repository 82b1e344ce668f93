import type { CollectorEvent, RealmLog, SinkEvent } from '@kata-agent/realm';
import { trustText } from '@kata-agent/cli';

/** Logs the events of a collector about an agent. Messages that begin with `ALERT:` are for a person (docs/collecting.md). */
export function writeEvent(log: RealmLog, agent: string, event: CollectorEvent): void {
  switch (event.kind) {
    case 'connected':
      return log('info', 'connected', { agent, from: event.from });
    case 'disconnected':
      return log('warn', 'not connected', { agent, error: event.why, retryMs: event.retryMs });
    case 'fault': {
      const { kind, sequence, what } = event.fault;
      return log('error', 'ALERT: the log has a fault', { agent, kind, sequence, what, ...omittedOf(event) });
    }
    case 'boot': {
      const { sequence } = event;
      return log('error', 'ALERT: the agent has started again', { agent, sequence, ...omittedOf(event) });
    }
    case 'full':
      return log('error', 'ALERT: no more of the log is stored: the agent has used its share', {
        agent,
        bytes: event.maxBytes,
      });
    case 'silent':
      return log('error', 'ALERT: no record has arrived', { agent, ms: event.ms });
    case 'heard':
      return log('info', 'records arrive again', { agent });
    case 'checkpoint': {
      const { origin, size, last, trust, cosigned, problem } = event.agreed;
      const of = {
        agent,
        origin,
        size,
        last,
        worth: trustText(trust),
        cosigned: cosigned === 0 ? undefined : cosigned,
      };
      return problem === undefined
        ? log('info', 'a checkpoint agrees', of)
        : log('error', 'ALERT: a checkpoint is not cosigned as demanded', { ...of, what: problem });
    }
    case 'not-stored':
      return log('error', 'records cannot be stored, and will be requested again', {
        agent,
        error: event.why,
      });
  }
}

function omittedOf({ omitted }: { readonly omitted: number }): { readonly omitted?: number } {
  return omitted === 0 ? {} : { omitted };
}

/** Logs the events of a sink. */
export function writeSinkEvent(log: RealmLog, event: SinkEvent): void {
  switch (event.kind) {
    case 'not-stored':
      return log('error', 'records cannot be stored, and will be requested again', { error: event.why });
    case 'rejected': {
      const { agent, count, why, path } = event;
      return log('error', 'ALERT: the receiver has rejected records', { agent, count, error: why, path });
    }
    case 'repeated':
      return log('info', 'the last records are sent again', { agent: event.agent, count: event.count });
  }
}
