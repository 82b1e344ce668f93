export { profileDigest, profileName } from './profile/profile-digest.js';
export { profileKeys } from './profile/profile-keys.js';
export type { RuleValues } from './configuration.js';
export { pathInRoot } from './merge/named-paths.js';
export { namedPaths } from './merge/named-paths.js';
export { type DialAddress, dialAddress } from './value-types/addresses.js';
export type { SettableKey } from './value-types/may-set.js';
export { type ProxyAddress, proxyAddress } from './value-types/addresses.js';
export { tlsAddress } from './value-types/addresses.js';
export { heartbeatBounds } from './settings/audit-settings.js';
export type { AgentSettings, LogLevel } from './settings/agent-settings.js';
export { type FragmentOptions, type ParsedFragment, parseApiFragment } from './api/api-fragment.js';
export { type Checked, checkDocument, type CheckOptions } from './load.js';
export type {
  ApiDocument,
  ApiSettings,
  AuditSettings,
  CheckedExpression,
  Configuration,
  Effective,
  EvidenceSource,
  EndpointLists,
  IgnoredOverride,
  Inputs,
  LimitSettings,
  ListEntry,
  Loaded,
  MeasurementSettings,
  OtherValue,
  Rule,
  RuleChecker,
  RuleFault,
  SectionName,
  SettingValue,
} from './configuration.js';
export type { ImageConfiguration, ImageSignatureList } from './image.js';
export type {
  DeliveredDocument,
  DeliveryName,
  DeliveryRead,
  DeliverySettings,
  DeliverySource,
  DocumentRead,
  DocumentReader,
  InitdataEnvelope,
  InitdataFile,
  LoadedInitdata,
  LoadedDocument,
  HostData,
} from './delivery.js';
export type {
  CallerSettings,
  DialSettings,
  ListenerLimits,
  ListenerSettings,
  NamedFile,
  RelaySettings,
  TlsSettings,
  PeerList,
  OperatorGrant,
} from './listener.js';
export { type DecodedDocument, decodeDocument } from './document/decode-document.js';
export { type DocumentSection, documentSections } from './document-sections.js';
export { deliverySources } from './delivery/delivery-sources.js';
export { fwCfgMaxBytes, fwCfgName } from './delivery/fw-cfg-source.js';
export { hostDataBytes, hostDataDigest } from './delivery/host-data.js';
export {
  type InitdataAlgorithm,
  parseInitdata,
  type ParsedInitdata,
  writeInitdata,
  writeInitdataFiles,
} from './delivery/initdata-envelope.js';
export { initdataAnnotation, initdataKey, initdataPolicyKey } from './delivery.js';
export { unpackInitdataImage, writeInitdataImage } from './delivery/initdata-device.js';
export { isGzip, maxDocumentBytes, unzip } from './document/decode-document.js';
export { kernelDocumentWord, kernelCommandLineLimits } from './delivery/kernel-command-line-source.js';
export {
  configurationDigest,
  foretoldRegister,
  measuredDigest,
  measuredEvent,
  type RegisterAlgorithm,
} from './delivery/measured-event.js';
export { parseKernelCommandLine } from './kernel-command-line.js';
export type { Diagnostic, Span } from './diagnostics/diagnostic.js';
export {
  type ExpandedRule,
  type ExplainedSetting,
  type Expansion,
  type Explanation,
  explainConfiguration,
} from './explain/explain-configuration.js';
export type { ExplainedEndpoint, ExplainedRule, ExplainedFinding } from './explain/explain-endpoint.js';
export { renderExplanation } from './explain/render-explanation.js';
export { listenerKeys } from './listener/listener-keys.js';
export { isSysctlName } from './value-types/guest-access.js';
export { isResource } from './value-types/sources.js';
export { secretKeys } from './secret/secret-keys.js';
export type { SecretPlace, SecretSettings } from './configuration.js';
export { describeBinding, describePlace } from './explain/explain-configuration.js';
export { witnessKeys } from './witness/witness-keys.js';
export type { WitnessPlace, WitnessSettings } from './configuration.js';
export {
  type EntryKey,
  type EntryKeyRow,
  type EntryTable,
} from './document/entry-key.js';
export { implicitListener } from './listener/listener-place.js';
export { loadConfiguration } from './load.js';
export { nearest } from './diagnostics/misspelled-name.js';
export { hasEvidence } from './merge/named-paths.js';
export { openDocument } from './delivery/open-document.js';
export { maxTomlDepth, type ParsedToml, parseToml } from './toml/parse-toml.js';
export { looksLikeRego, type RegoLine, regoLines } from './api/rego-defaults.js';
export { renderDiagnostic } from './diagnostics/report.js';
export { methodsOfRequest } from './document/api-document.js';
export { stringOffsets } from './rule/string-offsets.js';
export { ruleKeys } from './rule/rule-keys.js';
export type { ValueSchema } from './value-types/value-type.js';
export type { MergeRule, OverrideNames, Setting, SettingRow } from './settings/setting.js';
export { settings } from './settings/settings.js';
export type { SourceText } from './diagnostics/diagnostic.js';
export {
  describeToml,
  type TomlArray,
  type TomlEntry,
  type TomlTable,
  type TomlValue,
} from './toml/toml-value.js';
