export type { ExpectedCall } from './calls/expected-call.js';
export type { Feature } from './calls/feature.js';
export type { Ask } from './write/ask.js';
export { type Entry, type FactName, originKey } from './write/fact-name.js';
export type { Plan, PlannedRule, Unconstrained, Wanted } from './write/plan.js';
export { planConfiguration, type PlanOptions } from './write/plan-configuration.js';
export { renderPlan } from './write/render-plan.js';
export { writeConfiguration, type WriteOptions } from './write/write-configuration.js';
export { type Difference, type Effect } from './diff/difference.js';
export { diffConfigurations, opensAnything } from './diff/diff-configurations.js';
export { renderDifferences } from './diff/render-differences.js';
export { type Migrated, migrate, type OldFile } from './migrate/migrate.js';
export { type Profile, type ProfileName, profiles } from './profiles/profiles.js';
export { Evidence, type RefusedCalls, type ServedCalls, type Sighting } from './learn/evidence.js';
export { learn, type LearnOptions, type Learnt } from './learn/learn.js';
export { requestOfFacts } from './request-of-facts.js';
export { requestSchema } from './request-schema.js';
export { type ParsedSuite, parseSuite } from './test/parse-suite.js';
export { type CaseResult, type Judge, runSuite } from './test/run-suite.js';
export type { TestCase, TestSuite, Verdict } from './test/test-suite.js';
export { configurationSchema, type JsonSchema } from './schema/configuration-schema.js';
export type { RuntimeSetup } from './calls/runtime-setup.js';
export { expectedCalls } from './calls/expected-calls.js';
export { type GenerateOptions, generate } from './generate/generate.js';
export { isPinned } from './calls/image-names.js';
export { WorkloadError } from './pod/field.js';
export { type ImageConfig, type ImageConfigs, parseImageConfig } from './pod/image-config.js';
export { type ObjectFile, readWorkloads } from './pod/read-workloads.js';
export type { Workload } from './pod/workload.js';
export {
  checkWorkload,
  type CheckOptions,
  type RefusedCall,
  type WorkloadReport,
} from './preflight/check-workload.js';
export { YamlText } from './test/yaml-text.js';
export { judgeOf } from './preflight/judge-of.js';
export { SandboxView } from './preflight/sandbox-view.js';
export type { Change } from './preflight/list-changes.js';
export {
  type LostAbility,
  preflight,
  type Preflight,
  type RefusedStep,
  type RuntimePreflight,
} from './preflight/preflight.js';
export { RecordedCases } from './test/recorded-cases.js';
export { renderFailure } from './test/render-result.js';
