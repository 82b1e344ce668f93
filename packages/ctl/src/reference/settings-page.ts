import { type SettingRow, settings } from '@kata-agent/config';
import { code, pageHead } from './markdown.js';

const sectionPurposes: Readonly<Record<SettingRow['section'], string>> = {
  agent: 'The agent itself. Every key is optional.',
  api: 'What is served.',
  delivery: 'How further documents come; without it there are none.',
  measurement: 'Registers that the digest of the configuration is extended into.',
  audit: 'The record of decisions.',
  limits: 'Bounds on what callers can ask for.',
};

/** docs/reference/settings.md */
export function settingsPage(): string {
  const sections = Object.entries(sectionPurposes) as [SettingRow['section'], string][];
  return [
    pageHead('Settings', 'the settings table of packages/config'),
    '\nA document is TOML. `version = 1`, the version of this language, may stand before the sections.\n',
    ...sections.map(([section, purpose]) => sectionText(section, purpose)),
    '\n## Words of this page\n\n',
    '- **merge**: what becomes of a key that several documents set. `intersect` and `union`: of what lists cover. ',
    '`minimum`, `earliest`, `or`: of what they say. `base only`: it may stand in the first document alone. ',
    '`owner`: the first document that sets it; another value elsewhere is an error.\n',
    '- **opens the guest**: once the documents restrict the API, no override changes it, unless `overridable` names it.\n',
    '- **not built yet**: a setting of Kata’s warns when it is set to other than its default, one of ours is an error.\n',
    '- Overrides win in this order: command line, environment, kernel line. ',
    'One that the documents forbid is ignored, warned of and recorded.\n',
  ].join('');
}

function sectionText(section: SettingRow['section'], purpose: string): string {
  const rows = settings.filter((row) => row.section === section);
  return `\n## \`[${section}]\`\n\n${purpose}\n${rows.map(rowText).join('')}`;
}

function rowText(row: SettingRow): string {
  const preset = row.default === undefined ? 'none' : code(row.type.write(row.default));
  const lines = [
    `Value: ${row.type.name}. Default: ${preset}.`,
    `Example: ${code(`${row.key} = ${row.example}`)}`,
    `Merge: ${row.merge}.${row.opensGuest ? ' It opens the guest.' : ''}`,
  ];
  if (row.override !== undefined) {
    const { flag, environment, kernelWord, kernelAlias } = row.override;
    const words = [
      kernelWord,
      ...(kernelAlias === undefined ? [] : [`${kernelAlias.word}=${kernelAlias.value}`]),
    ];
    lines.push(
      `Overridden by: command line ${code(flag)}, environment ${code(environment)}, kernel line ${words.map(code).join(' or ')}`,
    );
  }
  const built = row.built === 'yes' ? '' : ' **Not built yet.**';
  return `\n### \`${row.key}\`\n\n${row.purpose}${built}\n\n${lines.map((line) => `- ${line}\n`).join('')}`;
}
