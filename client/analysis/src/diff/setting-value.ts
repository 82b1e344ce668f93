import type { Configuration, SettingRow, SettingValue } from '@kata-agent/config';

/** Returns the effective value of a row. */
export function valueOf({ values }: Configuration, row: Pick<SettingRow, 'section' | 'key'>): SettingValue {
  return values.find(({ section, key }) => section === row.section && key === row.key)?.value;
}

export function sameValue(before: SettingValue, after: SettingValue): boolean {
  return JSON.stringify(before) === JSON.stringify(after);
}

/** Returns a row's name, and both values as written in a document. */
export function settingTexts(
  row: SettingRow,
  before: SettingValue,
  after: SettingValue,
): { readonly name: string; readonly before: string; readonly after: string } {
  const write = (value: SettingValue): string => (value === undefined ? '(not set)' : row.type.write(value));
  return { name: `${row.section}.${row.key}`, before: write(before), after: write(after) };
}
