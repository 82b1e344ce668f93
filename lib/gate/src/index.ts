export { Authorizer, type AuthorizerOptions, authorizerOf } from './authorizer.js';
export { allow, type Decision, deny } from './decision.js';
export { claimedImage } from './facts/claimed-image.js';
export { claimedName, type ClaimedNames, claimedNames } from './facts/claimed-name.js';
export { coversOf } from './entrypoint/covered-file.js';
export { programWithoutRoot } from './entrypoint/program-without-root.js';
export { factsOf } from './facts/facts-of.js';
export type { RequestFacts } from './facts/request-facts.js';
export { type RequestSummary, summaryOf } from './request-summary.js';
export { compileGate, type Gate, type GateOptions } from './gate.js';
export { type PrivilegeAccess } from './privileged/privilege-access.js';
export { privilegesOf, reasonsOf } from './privileged/privileges-of.js';
export { type Privilege, type PrivilegedReason, privilegedReasons } from './privileged/reason.js';
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
