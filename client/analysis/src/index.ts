export type { Ask } from './write/plan.js';
export type { Plan, PlannedRule, Unconstrained } from './write/plan.js';
export type { Wanted } from './write/reasons.js';
export { planConfiguration, type PlanOptions } from './write/plan-configuration.js';
export { baseText, openLine, renderDelivered, renderPlan } from './write/render-plan.js';
export { writeConfiguration, type WriteOptions } from './write/render-plan.js';
export { type Difference, type Effect } from './diff/difference.js';
export { diffConfigurations, opensAnything } from './diff/diff-configurations.js';
export { renderDifferences } from './diff/difference.js';
export { generatedChanges } from './diff/generated-changes.js';
export { type Migrated, migrate, type OldFile } from './migrate/migrate.js';
export { type Starter, type StarterName, starters } from './starters.js';
export { Evidence, type RefusedCalls, type ServedCalls, type Sighting } from './learn/evidence.js';
export { learn, type LearnOptions, type Learnt } from './learn/learn.js';
export { requestOfFacts } from './offline-requests.js';
export { requestSchema } from './offline-requests.js';
export { type ParsedSuite, parseSuite } from './suites/parse-suite.js';
export { type CaseResult, runSuite } from './suites/run-suite.js';
export type { TestCase, TestSuite, Expectation } from './suites/parse-suite.js';
export { configurationSchema, type JsonSchema } from './configuration-schema.js';
export { type GeneratedPlan, type GenerateOptions, generate } from './generate/generate.js';
export {
  checkWorkload,
  type CheckOptions,
  type RefusedCall,
  type WorkloadReport,
} from './preflight/check-workload.js';
export type { UnbuiltFeature } from './preflight/unbuilt-feature.js';
export { YamlText } from './suites/yaml-text.js';
export { type OfflineAuthorizer, offlineAuthorizer } from './suites/offline-authorizer.js';
export { SandboxView } from './preflight/sandbox-view.js';
export type { Change } from './preflight/list-changes.js';
export {
  type LostAbility,
  preflight,
  type Preflight,
  type RefusedStep,
  type RuntimePreflight,
} from './preflight/preflight.js';
export { preflightWorkload, type WorkloadPreflight } from './preflight/preflight-workload.js';
export { RecordedCases } from './suites/recorded-cases.js';
export { renderFailure } from './suites/run-suite.js';
