import type { AuditLog } from '@kata-agent/audit';
import type { Configuration } from '@kata-agent/config';
import { Management } from '@kata-agent/protocol/management';
import { Relay } from '@kata-agent/protocol/relay';
import { createServer, type Server, service } from '@kata-agent/ttrpc';
import { setTimeout as delay } from 'node:timers/promises';
import type { Backend } from './backend/backend.js';
import type { Policy } from './policy/policy.js';
import { faultLog } from './startup/fault-log.js';
import {
  authorizeManagement,
  authorizeRelay,
  demandWitnesses,
  gateCheck,
  managementGate,
} from './interceptors/gate-check.js';
import { auditing } from './interceptors/auditing.js';
import { recordOfRequest } from './interceptors/audited-call.js';
import { authorizeCalls, evaluateRules } from './interceptors/evaluate-rules.js';
import { rootlessPaths, specNames } from './interceptors/normalize-requests.js';
import type { OnDeniedRead } from './interceptors/refusal.js';
import { type Caller, callerKey } from './caller.js';
import { Connections } from './listeners/connections.js';
import { management } from './management/management.js';
import type { ManagementContext } from './management/management-context.js';
import { OneAtATime, Watchers } from './management/call-limits.js';
import type { Readers } from './readers.js';
import { relay } from './relay.js';
import type { Log } from './log.js';
import type { Witnesses } from './witnesses/witnesses.js';

/** How long running calls may take when the agent ends. */
const graceMs = 2_000;

export interface AgentServer extends Pick<Server<Caller>, 'serve'> {
  /** Answers running calls, for two seconds at most, then closes every connection. */
  end(): Promise<void>;
}

/** The server of one agent: gate, rules, audit record, handler (docs/request-lifecycle.md). */
export function agentServer(options: {
  readonly configuration: Configuration;
  readonly backend: Pick<Backend, 'status' | 'containers' | 'complete' | 'around' | 'services'>;
  readonly policy: Policy;
  readonly readers: Pick<Readers, 'named'>;
  readonly audit: AuditLog;
  readonly bootId: string;
  /** Undefined: there is no `tls://` or `https://` listener. */
  readonly revocations?: ManagementContext['revocations'];
  /** Undefined: there are none. */
  readonly witnesses?: Pick<Witnesses, 'cosigned' | 'isOverdue'> | undefined;
  /** Undefined: there is no source of evidence. */
  readonly attester?: ManagementContext['attester'];
  readonly log: Log;
}): AgentServer {
  const { configuration, backend, policy, readers, audit, bootId, log, revocations, witnesses, attester } =
    options;
  const connections = new Connections();
  const { limits } = configuration;
  const authorize = authorizeCalls(policy, backend.status);
  const recordOf = recordOfRequest(configuration.audit.facts, policy.access);
  const answers = new Map(configuration.listeners.map((settings) => [settings.name, settings.onDeniedRead]));
  const onDeniedRead: OnDeniedRead = (listener) => answers.get(listener) ?? configuration.api.onDeniedRead;
  const gate = managementGate(configuration.listeners);
  const ending = new AbortController();
  const managed = {
    configuration,
    gate,
    bootId,
    policy,
    backend,
    audit,
    connections,
    watchers: new Watchers(),
    proofs: new OneAtATime(),
    revocations,
    witnesses,
    attester,
    log,
    ending: ending.signal,
  };
  const server = createServer<Caller>({
    services: [
      ...backend.services(authorize),
      service(Management, management(managed)),
      service(Relay, relay),
    ],
    admit: gateCheck({
      policy,
      management: gate,
      readers,
      audit,
      onDeniedRead,
      onFailure: configuration.audit.onFailure,
      lacksWitnesses: demandWitnesses(configuration.listeners, witnesses),
    }),
    interceptors: [
      authorizeManagement(gate),
      authorizeRelay,
      specNames,
      ...(backend.complete === undefined ? [] : [backend.complete]),
      rootlessPaths,
      evaluateRules({ policy, authorize, guest: backend.status, audit, recordOf, onDeniedRead }),
      auditing(audit, recordOf),
      backend.around,
    ],
    limits: {
      requestsPerConnection: limits.requestsPerConnection,
      requestFields: limits.requestFields,
      frameTimeoutMs: limits.frameTimeoutMs,
    },
    // A flood of one caller delays neither calls on another listener, nor those of others on its own.
    groupOf: (caller) => `${caller.listener} ${callerKey(caller)}`,
    onFault: faultLog(log, audit),
  });
  return {
    serve: (stream, caller) => {
      connections.add(caller, stream);
      return server.serve(stream, caller);
    },
    end: async () => {
      ending.abort();
      await Promise.race([server.shutdown(), delay(graceMs, undefined, { ref: false })]);
      server.close();
    },
  };
}
