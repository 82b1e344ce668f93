export { announcedMethods } from './announced.js';
export { type ConsistencyRule, consistency, type Inconsistency, inconsistencies } from './consistency.js';
export type { Endpoint } from './endpoint.js';
export { type Area, areas, endpoints } from './endpoints.js';
export { type UnclaimedGuarantee, unclaimedWithForward } from './forward-mode.js';
export {
  attestationAgentDirectory,
  attestationAgentSocket,
  dataHubSocket,
  initdataDirectory,
} from './guest-component-paths.js';
export { type Group, type GroupName, groups, isGroupName } from './groups.js';
export { existedIn, membersOf } from './members.js';
export {
  isManagementMethod,
  type ManagementEndpoint,
  type ManagementMethod,
  managementEndpoints,
  managementMethods,
} from './management.js';
export {
  guestVerbs,
  managementOf,
  type OperatorVerb,
  operatorVerbs,
  operatorVerbTable,
  verbsThatOpen,
} from './operator-verbs.js';
export { isMethodName, type MethodName, methodNames } from './methods.js';
export { compareReleases, findRelease, type Release, releases } from './releases.js';
export { type ReplyContent, replyContents } from './reply-contents.js';
export { kataDirectory, readBytes, sharedDirectory } from './runtime-habits.js';
export {
  type Condition,
  type Phase,
  type RuntimeCall,
  type RuntimeName,
  runtimeCalls,
} from './runtime-calls.js';
export { enginePath, libraryDirectories, linkerFiles, defaultDirectories } from './program-files.js';
export type { ImageAccount, ImageProgram } from './image-program.js';
export { capabilities, guestCapabilities } from './capabilities.js';
export { sensitivePathOf, sensitivePaths } from './guest-paths.js';
export { allow, type Decision, deny } from './decision.js';
export { openingKey, type PrivilegedReason, privilegedReasons } from './privileged-reasons.js';
export type { NetworkSummary, RequestFacts, RequestSummary } from './recorded-request.js';
export {
  canonicalSysctl,
  needsSysctlKey,
  safeSysctls,
  sysctlNamespace,
  sysctlParts,
  sysctlRunsPrograms,
} from './sysctls.js';
