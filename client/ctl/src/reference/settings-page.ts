import {
  type DocumentSection,
  documentSections,
  type EntryKeyRow,
  type SettingRow,
  settings,
} from '@kata-agent/config';
import { code, markdownTable, pageHead } from './markdown.js';

/** Where a page says more about a section. */
const more: ReadonlyMap<string, string> = new Map([
  ['api.rule', '[rules.md](rules.md) has the language and every name that a rule can use.'],
  ['secret', '[Guest components](../guest-components.md#sealed-secrets) describes sealed secrets.'],
  ['evidence', '[evidence.md](../evidence.md) describes what is signed, and by what.'],
]);

/** docs/reference/settings.md */
export function settingsPage(): string {
  return [
    pageHead('Settings', 'the settings table of lib/config'),
    '\nEvery key of a configuration: its purpose, values and default, and who else can set it. ',
    'A document is TOML; all sections and keys are optional. To start with an example, use ',
    '`kata-agent-ctl config init`; for completion in an editor, `kata-agent-ctl config schema` ',
    '([the same, as a file](kata-agent.schema.json)).\n\n',
    example,
    '\n## All keys\n\n',
    '`version = 1`, the version of this language, can precede the sections.\n\n',
    markdownTable(
      ['section', 'keys'],
      documentSections.map((section) => [
        `[${code(headOf(section))}](#${anchor(headOf(section))})`,
        section.rows.map((row) => `[${row.key}](#${anchor(rowHead(headOf(section), row))})`).join(', '),
      ]),
    ),
    words,
    ...documentSections.map(sectionText),
  ].join('');
}

const example = `\`\`\`toml
[agent]
log_level = "info"
lock = true                 # flags, environment and kernel command line do not change this

[api]
release = "3.21"            # methods that came later are not served
allowed_endpoints = ["@pod", "@exec", "ReadStdout", "ReadStderr"]

[[api.rule]]
name = "health-check"
endpoints = ["ExecProcess"]
expression = 'args == ["/bin/healthcheck"] && !terminal'

[audit]
on_failure = "refuse-all"
\`\`\`
`;

const words = `\n## Terms\n\n- **merge**: how values of several documents are combined. \`intersect\` and \`union\`: of the methods that lists cover. \`minimum\`, \`earliest\`, \`or\`: of the values. \`base only\`: only the base document can set it. \`owner\`: the first document that sets it owns it; a different value elsewhere is an error.\n- **opens the guest**: if the documents restrict the API, overrides do not change the key, unless \`overridable\` names it.\n- **not built yet**: for a setting of Kata, a value other than its default is a warning; for one of ours, it is an error.\n- **no effect**: a value other than the default is a warning.\n- Overrides apply in this order: command line, environment, kernel command line. An override that the documents forbid is ignored, with a warning and an audit record.\n`;

/** Returns the header of a section as written. */
function headOf({ name, list }: DocumentSection): string {
  return list ? `[[${name}]]` : `[${name}]`;
}

function sectionText(section: DocumentSection): string {
  const { name, purpose, rows } = section;
  const head = headOf(section);
  const link = more.has(name) ? ` ${more.get(name)}` : '';
  return `\n## \`${head}\`\n\n${purpose}${link}\n${rows.map((row) => rowText(head, row)).join('')}`;
}

/** Keys of two sections can have the same name; headings therefore include the section. */
function rowHead(head: string, row: SettingRow | EntryKeyRow): string {
  const isAlone = !('table' in row) && settings.filter(({ key }) => key === row.key).length === 1;
  return isAlone ? `\`${row.key}\`` : `\`${row.key}\` of \`${head}\``;
}

function rowText(head: string, row: SettingRow | EntryKeyRow): string {
  const lines = 'table' in row ? entryLines(row) : settingLines(row);
  return `\n### ${rowHead(head, row)}\n\n${row.purpose}${effectOf(row)}\n\n${lines.map((line) => `- ${line}\n`).join('')}`;
}

function effectOf(row: SettingRow | EntryKeyRow): string {
  if (row.built === 'yes') return '';
  if (row.built === 'unused')
    return " **No effect**, as with Kata's agent, which accepts it and never uses it.";
  const values = 'table' in row ? [] : (row.builtValues ?? []).map((value) => code(row.type.write(value)));
  return values.length === 0 ? ' **Not built yet.**' : ` **Not built yet**, except ${values.join(', ')}.`;
}

function settingLines(row: SettingRow): readonly string[] {
  const preset = row.default === undefined ? 'none' : code(row.type.write(row.default));
  const lines = [
    `Value: ${row.type.name}. Default: ${preset}.`,
    `Example: ${code(`${row.key} = ${row.example}`)}`,
    `Merge: ${row.merge}.${row.opensGuest ? ' It opens the guest.' : ''}`,
  ];
  if (row.withoutGuest !== undefined)
    lines.push(`With \`forward\`: no effect, so an error; ${row.withoutGuest}.`);
  if (row.override === undefined) return lines;
  const { flag, environment, kernelWord, kernelAlias } = row.override;
  const alias = kernelAlias === undefined ? [] : [`${kernelAlias.word}=${kernelAlias.value}`];
  const kernel = [kernelWord, ...alias].map(code).join(' or ');
  return [
    ...lines,
    `Overridden by: command line ${code(flag)}, environment ${code(environment)}, kernel command line ${kernel}`,
  ];
}

function entryLines(row: EntryKeyRow): readonly string[] {
  return [
    `Value: ${row.type.name}. ${row.required ? 'Required.' : `Default: ${row.otherwise}.`}`,
    `Example: ${code(`${row.key} = ${row.example}`)}`,
    row.later ? 'Allowed in any document.' : 'Allowed only in the base document.',
  ];
}

/** Returns GitHub's anchor for a heading. */
function anchor(heading: string): string {
  return heading
    .toLowerCase()
    .replace(/[^a-z0-9_ -]/g, '')
    .replaceAll(' ', '-');
}
