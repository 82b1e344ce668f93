export { Authorizer, type AuthorizerOptions, authorizerOf } from './authorizer.js';
export {
  allow,
  type Decision,
  deny,
  type PrivilegedReason,
  privilegedReasons,
  type RequestFacts,
  type RequestSummary,
} from '@kata-agent/catalogue';
export { claimedImage } from './facts/claims.js';
export { claimedName, type ClaimedNames, claimedNames } from './facts/claims.js';
export { coversOf } from './entrypoint/covered-file.js';
export { programWithoutRoot } from './entrypoint/covered-file.js';
export { factsOf } from './facts/facts-of.js';
export { summaryOf } from './request-summary.js';
export { compileGate, type Gate, type GateOptions } from './gate.js';
export { noAccess, type Privilege, type PrivilegeAccess } from './privileged/privilege.js';
export { privilegesOf, reasonsOf } from './privileged/privileges-of.js';
export {
  describePrivileges,
  PrivilegeGate,
  privilegedContainers,
  privilegedRule,
} from './privileged/refuse-privileged.js';
export {
  alwaysMasked,
  alwaysReadOnly,
  defaultCapabilities,
  defaultDevices,
} from './privileged/runtime-defaults.js';
export type {
  RuleContainer,
  RuleImage,
  RuleImageConfig,
  RuleMember,
  RuleMemberMount,
  RulePeer,
  RuleContext,
} from './rule-context.js';
