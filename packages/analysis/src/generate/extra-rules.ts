import type { ExpectedCall } from '../calls/expected-call.js';
import type { RuntimeSetup } from '../calls/runtime-setup.js';
import type { Workload } from '../pod/workload.js';
import type { ExtraRule } from '../write/extra-rule.js';
import { containerRules } from './container-rules.js';
import { mountRules } from './mount-rules.js';
import { networkRules } from './network-rules.js';
import { identityRules } from './identity-rules.js';
import { orderRules } from './order-rules.js';
import { processRules } from './process-rules.js';
import { ownRequestRules, requestRules } from './request-rules.js';
import { sandboxRules } from './sandbox-rules.js';
import { sourceRules } from './source-rules.js';
import { wholeRules } from './whole-rules.js';

/**
 * What holds for every request of these workloads although it stands in no list. All that genpolicy of Kata Containers
 * 4.1.0 asks of a request is among it, as far as a rule can know it.
 */
export function extraRules(
  workloads: readonly Workload[],
  setup: RuntimeSetup,
  calls: readonly ExpectedCall[],
): readonly ExtraRule[] {
  return [
    ...networkRules,
    ...sandboxRules(workloads),
    ...filesRules,
    ...containerRules(workloads, setup),
    ...mountRules(workloads, setup),
    ...processRules,
    ...identityRules(workloads, calls),
    ...sourceRules(calls, setup),
    ...requestRules,
    ...ownRequestRules(workloads),
    ...wholeRules(calls),
    ...orderRules(workloads),
  ];
}

/** The forms of names are those that both runtimes give (`sfprefix` of genpolicy). */
const filesRules: readonly ExtraRule[] = [
  {
    name: 'names',
    method: 'CopyFile',
    says: 'Files go where the runtimes put them, never into the root of a container. Every pod.',
    expression:
      'path.matches("^/run/kata-containers/shared/containers/(watchable/)?[A-Za-z0-9_.-]+-[a-z0-9]{16}-[^/]+(/|$)")',
    message: 'no file of the cluster has this name',
  },
  {
    name: 'links',
    method: 'CopyFile',
    says: 'Of special files only links come, within a volume, and they lead nowhere else. Every pod.',
    expression:
      'file_type in ["regular", "directory"] || file_type == "symlink" && !string(request.data).startsWith("/") && ' +
      '!string(request.data).matches("(^|/)[.][.](/|$)") && path.split("/").size() > 6',
    message: 'this link leads out of its volume',
  },
];
