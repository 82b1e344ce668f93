import {
  jetstream,
  type JetStreamManager,
  jetstreamManager,
  RetentionPolicy,
  StorageType,
} from '@nats-io/jetstream';
import { type KV, Kvm } from '@nats-io/kv';
import type { NatsConnection } from '@nats-io/transport-node';
import type { LeaseTimes } from './leases.js';
import { buckets, logStream, subjects } from './subjects.js';

/** The buckets and the stream of a realm. */
export interface Parts {
  readonly jsm: JetStreamManager;
  readonly live: KV;
  readonly known: KV;
  readonly revocations: KV;
}

/** Opens them, and creates what is missing. */
export async function openParts(nc: NatsConnection, { ttlMs }: LeaseTimes): Promise<Parts> {
  const jsm = await jetstreamManager(nc);
  const kvm = new Kvm(jetstream(nc));
  // Never a direct get: a server that lags behind could answer it.
  const options = { history: 1, allow_direct: false };
  const live = await kvm.create(buckets.live, { ...options, ttl: ttlMs });
  const known = await kvm.create(buckets.known, options);
  const revocations = await kvm.create(buckets.revocations, options);
  try {
    await jsm.streams.info(logStream);
  } catch (error) {
    if ((error as Error).message !== 'stream not found') throw error;
    await jsm.streams.add({
      name: logStream,
      subjects: [subjects.logs],
      retention: RetentionPolicy.Limits,
      storage: StorageType.File,
      deny_delete: true,
      deny_purge: true,
    });
  }
  return { jsm, live, known, revocations };
}
