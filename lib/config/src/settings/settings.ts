import { agentSettings } from './agent-settings-table.js';
import { apiSettings } from './api-settings.js';
import { auditSettings } from './audit-settings.js';
import { deliverySettings } from './delivery-settings.js';
import { imageSettings } from './image-settings.js';
import { evidenceSettings } from './evidence-settings.js';
import { limitSettings } from './limit-settings.js';
import { measurementSettings } from './measurement-settings.js';
import type { SettingRow } from './setting.js';

/**
 * All settings. Parser, defaults, flags, kernel command line words, merge rules, `--explain` and the reference page are
 * derived from this table. Sections and keys are in the order of documents and tables.
 */
export const settings: readonly SettingRow[] = [
  ...Object.values<SettingRow>(agentSettings),
  ...Object.values<SettingRow>(apiSettings),
  ...Object.values<SettingRow>(deliverySettings),
  ...Object.values<SettingRow>(measurementSettings),
  ...Object.values<SettingRow>(imageSettings),
  ...Object.values<SettingRow>(evidenceSettings),
  ...Object.values<SettingRow>(auditSettings),
  ...Object.values<SettingRow>(limitSettings),
];
