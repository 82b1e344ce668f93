import { isMessage } from '@bufbuild/protobuf';
import { factsOf } from '@kata-agent/gate';
import { CreateContainerRequestSchema, ExecProcessRequestSchema } from '@kata-agent/protocol/agent';
import { serviceVariables } from '../calls/environment.js';
import type { ExpectedCall } from '../calls/expected-call.js';
import { expectedCalls } from '../calls/expected-calls.js';
import type { RuntimeSetup } from '../calls/runtime-setup.js';
import type { ImageConfigs } from '../pod/image-config.js';
import type { Workload } from '../pod/workload.js';
import type { Ask } from '../write/ask.js';
import { extraRules } from './extra-rules.js';
import { facts as factRows } from '../write/facts.js';
import type { Plan } from '../write/plan.js';
import { type PlanOptions, planConfiguration } from '../write/plan-configuration.js';

/** What a configuration is generated from, besides the workloads. */
export interface GenerateOptions extends Omit<PlanOptions, 'extra'> {
  readonly setup: RuntimeSetup;
  readonly images: ImageConfigs;
}

/**
 * The least configuration under which all these workloads run. Reasons are fields of the pod, without the path of the
 * pod itself; with several workloads, behind the name of theirs.
 */
export function generate(workloads: readonly Workload[], options: GenerateOptions): Plan {
  return planConfiguration(
    workloads.flatMap((workload) => {
      const short = shortener(workload, workloads.length > 1);
      return expectedCalls(workload, options.setup, options.images).map((call) =>
        askOf(workload, call, short),
      );
    }),
    { ...options, extra: extraRules(workloads) },
  );
}

function shortener(workload: Workload, several: boolean): (reason: string) => string {
  const prefix = `${workload.path}.`;
  return (reason) => {
    if (!reason.includes(prefix)) return reason;
    return (several ? `${workload.name}: ` : '') + reason.replaceAll(prefix, '');
  };
}

/** The image is left out: what the host claims of it is its word alone, and engines write names in different ways. */
function askOf(workload: Workload, call: ExpectedCall, short: (reason: string) => string): Ask {
  const { image: _image, ...facts } = factsOf(call.method, call.request);
  const args = argsOf(call);
  return {
    method: call.method,
    facts,
    ...(args === undefined ? {} : { args }),
    ...(workload.hasServiceLinks && facts.environment !== undefined
      ? {
          environmentPatterns: new Map([[serviceVariables, short(`${workload.path}.enableServiceLinks`)]]),
        }
      : {}),
    because: [short(call.because)],
    origins: new Map([...call.origins].map(([key, reason]) => [key, short(reason)])),
    unknown: new Map(
      [...call.unknown]
        .filter(([fact]) => factRows.get(fact)?.read(facts) !== undefined)
        .map(([fact, reason]) => [fact, short(reason)]),
    ),
  };
}

function argsOf({ request }: ExpectedCall): readonly string[] | undefined {
  if (isMessage(request, CreateContainerRequestSchema)) return request.OCI?.Process?.Args;
  return isMessage(request, ExecProcessRequestSchema) ? request.process?.Args : undefined;
}
