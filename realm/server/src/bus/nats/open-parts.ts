import {
  DiscardPolicy,
  jetstream,
  type JetStreamManager,
  jetstreamManager,
  RetentionPolicy,
  StorageType,
  type StreamConfig,
} from '@nats-io/jetstream';
import { type KV, Kvm } from '@nats-io/kv';
import { nanos, type NatsConnection } from '@nats-io/transport-node';
import type { LeaseTimes } from './leases.js';
import { buckets, type LogNames, realmLogs } from './subjects.js';

/** The buckets and the stream of a realm. */
export interface Parts {
  readonly jsm: JetStreamManager;
  readonly live: KV;
  readonly known: KV;
  readonly revocations: KV;
}

const kib = 1024;

/** Bytes of the buckets, which each replica has in memory, and of an entry. Beyond them NATS refuses what is new. */
const bounds = {
  live: { max_bytes: 64 * kib * kib, max_msg_size: 16 * kib },
  // With notes about logs, which are not in memory.
  known: { max_bytes: 512 * kib * kib, max_msg_size: 512 * kib },
  revocations: { max_bytes: 64 * kib * kib, max_msg_size: 16 * kib },
};

/** Opens them, and creates what is missing. */
export async function openParts(nc: NatsConnection, { ttlMs }: LeaseTimes): Promise<Parts> {
  const jsm = await jetstreamManager(nc);
  const kvm = new Kvm(jetstream(nc));
  const openBucket = async (name: string, more: Partial<StreamConfig>): Promise<KV> =>
    await ensureBucket(jsm, kvm, name, more);
  const live = await openBucket(buckets.live, {
    ...bounds.live,
    max_age: nanos(ttlMs),
    duplicate_window: nanos(ttlMs),
  });
  const known = await openBucket(buckets.known, bounds.known);
  const revocations = await openBucket(buckets.revocations, bounds.revocations);
  await ensureStream(jsm, realmLogs.stream, { subjects: [realmLogs.logs] });
  return { jsm, live, known, revocations };
}

/** Opens a stream of logs and the bucket of what is known of them, and creates what is missing. */
export async function openLogParts(
  nc: NatsConnection,
  names: LogNames,
  bucket: string,
): Promise<Pick<Parts, 'jsm' | 'known'>> {
  const jsm = await jetstreamManager(nc);
  const known = await ensureBucket(jsm, new Kvm(jetstream(nc)), bucket, bounds.known);
  await ensureStream(jsm, names.stream, { subjects: [names.logs] });
  return { jsm, known };
}

async function ensureBucket(
  jsm: JetStreamManager,
  kvm: Kvm,
  name: string,
  more: Partial<StreamConfig>,
): Promise<KV> {
  await ensureStream(jsm, `KV_${name}`, {
    ...more,
    subjects: [`$KV.${name}.>`],
    max_msgs_per_subject: 1,
    discard: DiscardPolicy.New,
  });
  return await kvm.open(name);
}

/** Creates a stream if it is missing: nobody deletes of it, and no message replaces all others (Nats-Rollup). */
async function ensureStream(
  jsm: JetStreamManager,
  name: string,
  more: Partial<StreamConfig> & Pick<StreamConfig, 'subjects'>,
): Promise<void> {
  try {
    await jsm.streams.info(name);
  } catch (error) {
    if ((error as Error).message !== 'stream not found') throw error;
    await jsm.streams.add({
      ...more,
      name,
      retention: RetentionPolicy.Limits,
      storage: StorageType.File,
      // Never a direct get: a server that lags behind could answer it.
      allow_direct: false,
      allow_rollup_hdrs: false,
      deny_delete: true,
      deny_purge: true,
    });
  }
}
