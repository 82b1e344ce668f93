import { agentSettings } from './agent-settings-table.js';
import { apiSettings } from './api-settings.js';
import { auditSettings } from './audit-settings.js';
import { deliverySettings } from './delivery-settings.js';
import { limitSettings } from './limit-settings.js';
import { measurementSettings } from './measurement-settings.js';
import type { SettingRow } from './setting.js';

/**
 * The one table of all settings. Parser, defaults, flags, kernel-line words, merge rules, `--explain` and the reference
 * page are derived from it. Sections in the order of documents, keys in the order of their tables.
 */
export const settings: readonly SettingRow[] = [
  ...Object.values<SettingRow>(agentSettings),
  ...Object.values<SettingRow>(apiSettings),
  ...Object.values<SettingRow>(deliverySettings),
  ...Object.values<SettingRow>(measurementSettings),
  ...Object.values<SettingRow>(auditSettings),
  ...Object.values<SettingRow>(limitSettings),
];
