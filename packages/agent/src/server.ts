import type { AuditLog } from '@kata-agent/audit';
import type { Configuration } from '@kata-agent/config';
import { AgentService } from '@kata-agent/protocol/agent';
import { Health } from '@kata-agent/protocol/health';
import { createServer, type Server, service } from '@kata-agent/ttrpc';
import { setTimeout as delay } from 'node:timers/promises';
import { faultLog } from './fault-log.js';
import { admission } from './interceptors/admission.js';
import { auditing } from './interceptors/auditing.js';
import { Decisions } from './interceptors/decisions.js';
import { recordedFacts } from './interceptors/facts-of.js';
import { translateFailures } from './interceptors/failures.js';
import { Intents } from './interceptors/intents.js';
import { judge } from './interceptors/judge.js';
import { ruling } from './interceptors/ruling.js';
import { specNames } from './interceptors/spec-names.js';
import type { Caller } from './listeners/caller.js';
import type { Log } from './log.js';
import { bind } from './services/bind.js';
import type { Services } from './services/handler.js';
import { health } from './services/health.js';

/** How long running calls may take to be answered once the agent ends. */
const graceMs = 2_000;

export interface AgentServer extends Pick<Server<Caller>, 'serve'> {
  /** Answers what is in flight, for two seconds at most, then closes every connection. */
  end(): Promise<void>;
}

/** The server of one agent: gate, then rules, then record, then handler (docs/request-lifecycle.md). */
export function agentServer(options: {
  readonly configuration: Configuration;
  readonly services: Services;
  readonly audit: AuditLog;
  readonly log: Log;
}): AgentServer {
  const { configuration, services, audit, log } = options;
  const { api, limits } = configuration;
  const { policy, guest } = services;
  const judged = judge(policy, guest);
  const decisions = new Decisions();
  const intents = new Intents();
  const factsOf = recordedFacts(configuration.audit.facts, policy.access);
  const server = createServer<Caller>({
    services: [service(AgentService, bind(services, { judge: judged, intents })), service(Health, health)],
    admit: admission({
      policy,
      audit,
      onDeniedRead: api.onDeniedRead,
      onFailure: configuration.audit.onFailure,
    }),
    interceptors: [
      specNames,
      ruling({ policy, judge: judged, guest, audit, decisions, factsOf, onDeniedRead: api.onDeniedRead }),
      auditing(audit, { decisions, intents, factsOf }),
      translateFailures,
    ],
    limits: {
      requestsPerConnection: limits.requestsPerConnection,
      requestFields: limits.requestFields,
      frameTimeoutMs: limits.frameTimeoutMs,
    },
    onFault: faultLog(log, audit),
  });
  return {
    serve: (stream, caller) => server.serve(stream, caller),
    end: async () => {
      await Promise.race([server.shutdown(), delay(graceMs, undefined, { ref: false })]);
      server.close();
    },
  };
}
