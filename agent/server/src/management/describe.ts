import type { MessageInitShape } from '@bufbuild/protobuf';
import type { ListenerSettings } from '@kata-agent/config';
import type { DescribeResponseSchema, ListenerSchema } from '@kata-agent/protocol/management';
import type { Caller } from '../caller/caller.js';
import { version } from '../version.js';
import type { ManagementContext } from './management-context.js';

/** Describes the agent to a caller. Other listeners are described to those who may read their records. */
export function describe(
  { configuration, bootId, policy, backend, audit, connections, gate }: ManagementContext,
  caller: Pick<Caller, 'listener' | 'rights'>,
): MessageInitShape<typeof DescribeResponseSchema> {
  const own = configuration.listeners.filter(({ name }) => name === caller.listener);
  const readsAll = gate(caller, 'WatchAudit').outcome === 'allow';
  const described = ({
    name,
    address,
    management,
  }: ListenerSettings): MessageInitShape<typeof ListenerSchema> => ({
    name,
    address,
    methods: [...policy.served(name)],
    management: [...management],
    connections: connections.count(name),
  });
  return {
    version,
    bootId,
    configurationDigest: configuration.digest,
    documents: configuration.documents.map(({ file, source, sha256, binding = '' }) => ({
      file,
      source,
      sha256,
      binding,
    })),
    listeners: (readsAll ? configuration.listeners : own).map(described),
    containers: backend.containers() ?? 0,
    auditWritable: audit.writable,
  };
}
