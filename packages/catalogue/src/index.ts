export { type ConsistencyRule, consistency, type Inconsistency, inconsistencies } from './consistency.js';
export type { Endpoint } from './endpoint.js';
export { endpoints } from './endpoints.js';
export { type Group, type GroupName, groups, isGroupName } from './groups.js';
export { existedIn, membersOf } from './members.js';
export { isMethodName, type MethodName, methodNames } from './methods.js';
export { compareReleases, findRelease, type Release, releases } from './releases.js';
export { type Condition, type Phase, type RuntimeCall, runtimeCalls } from './runtime-calls.js';
