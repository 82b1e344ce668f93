import {
  type Diagnostic,
  describeToml,
  parseToml,
  type SettingRow,
  type SourceText,
  settings,
  type TomlEntry,
  type TomlValue,
} from '@kata-agent/config';
import { endpointsSection, type MigratedSetting, type ReadPart } from './migrated-part.js';

/** Keys of `[agent]` that are not Kata's: Kata's agent ignores them in its file. */
const ours: ReadonlySet<string> = new Set([
  'oci_runtime',
  'hooks',
  'privileged_containers',
  'devices',
  'guest_paths',
  'network_namespaces',
  'capabilities',
  'share_processes',
  'user_namespaces',
  'kernel_modules',
  'sysctls',
  'host_aliases',
  'nosymfollow',
  'image_volumes',
  'extensions',
  'harden',
  'clock_floor',
  'on_end',
  'forward',
  'lock',
  'overridable',
]);

/** The settings of Kata's agent, by key; our keys are the same. */
export const kataSettings: ReadonlyMap<string, SettingRow> = new Map(
  settings.filter(({ section, key }) => section === 'agent' && !ours.has(key)).map((row) => [row.key, row]),
);

/**
 * Reads a file of Kata's own agent: flat TOML without sections, except the former `[endpoints]`. Kata's agent ignores
 * unknown keys. Source: `src/agent/src/config.rs` of Kata Containers 4.1.0 (7c6ba40c5), and of 3.2 for `[endpoints]`.
 */
export function readKataFile(source: SourceText): ReadPart {
  const toml = parseToml(source);
  if (!toml.ok) return { ok: false, diagnostics: [toml.diagnostic] };
  const { entries } = toml.root;
  const modern = entries.get('agent') ?? entries.get('api');
  if (modern !== undefined) {
    const message = 'this is already a configuration of this agent, with sections [agent] and [api]';
    const help = `there is nothing to migrate; check it: kata-agent-ctl config check ${source.file}`;
    return { ok: false, diagnostics: [source.error('KA1901', modern.span, message, help)] };
  }
  const migrated: MigratedSetting[] = [];
  const notes: Diagnostic[] = [];
  for (const [key, entry] of entries) {
    const row = kataSettings.get(key);
    if (key === 'endpoints' || key === 'policy_file') continue;
    if (row === undefined) {
      const message = `Kata's agent has no setting ${key}, and ignored it`;
      notes.push(source.warning('KA1902', entry.span, message, 'ignored'));
    } else if (!isUnset(entry.value)) {
      const setting = migrateSetting(row, entry, source, notes);
      if (setting !== undefined) migrated.push(setting);
    }
  }
  const endpoints = entries.get('endpoints');
  const list = endpoints === undefined ? undefined : endpointsSection(endpoints, source, notes);
  const policy = entries.get('policy_file');
  return {
    ok: true,
    part: {
      settings: migrated,
      notes,
      ...(list === undefined ? {} : { list }),
      ...(policy === undefined || isUnset(policy.value) ? {} : { policyFile: policy.span }),
    },
  };
}

/** Kata's strings are empty where ours are absent. */
function isUnset(value: TomlValue): boolean {
  return value.kind === 'string' && value.value === '';
}

function migrateSetting(
  row: SettingRow,
  entry: TomlEntry,
  source: SourceText,
  notes: Diagnostic[],
): MigratedSetting | undefined {
  const value = wholeSeconds(entry, source, notes);
  const reading = row.type.fromToml(value);
  if (!reading.ok) {
    const message = `${row.key} must be ${reading.expected}, not ${describeToml(value)}`;
    const help = `ignored; the default applies: ${row.key} = ${row.type.write(row.default)}`;
    notes.push(source.warning('KA1902', entry.value.span, message, help));
    return undefined;
  }
  return { key: row.key, value: row.type.write(reading.value), span: entry.span };
}

/** Kata writes a time as a table `{ secs = 3, nanos = 0 }` or a list `[3, 0]`; here it is whole seconds. */
function wholeSeconds({ span, value }: TomlEntry, source: SourceText, notes: Diagnostic[]): TomlValue {
  const table = value.kind === 'table' ? value.entries : undefined;
  const list = value.kind === 'array' ? value.items : undefined;
  const seconds = table?.get('secs')?.value ?? list?.[0];
  const nanos = table?.get('nanos')?.value ?? list?.[1];
  if (seconds?.kind !== 'integer') return value;
  if (nanos?.kind !== 'integer' || nanos.value === 0n) return { ...seconds, span: value.span };
  const rounded = seconds.value + 1n;
  notes.push(source.warning('KA1902', span, 'times are whole seconds', `rounded up to ${rounded}`));
  return { kind: 'integer', value: rounded, span: value.span };
}
