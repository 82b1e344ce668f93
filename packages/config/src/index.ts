export type { AgentSettings, LogLevel } from './agent-settings.js';
export type {
  ApiDocument,
  ApiSettings,
  AuditSettings,
  Configuration,
  DocumentRead,
  DocumentReader,
  DocumentRecord,
  Effective,
  IgnoredOverride,
  Inputs,
  LimitSettings,
  ListEntry,
  Loaded,
  OtherValue,
  SectionName,
  SettingValue,
} from './configuration.js';
export type { Diagnostic, Span } from './diagnostic.js';
