import { type EntryKeyRow, listenerKeys, ruleKeys, type SettingRow, settings } from '@kata-agent/config';
import { code, markdownTable, pageHead } from './markdown.js';

/** A section of a document, in the order of the page. */
interface Section {
  readonly head: string;
  readonly purpose: string;
  readonly rows: readonly (SettingRow | EntryKeyRow)[];
}

const sections: readonly Section[] = [
  {
    head: '[agent]',
    purpose: 'The agent itself. These keys, and no others, can be overridden.',
    rows: rowsOf('agent'),
  },
  { head: '[api]', purpose: 'What is served.', rows: rowsOf('api') },
  {
    head: '[[api.rule]]',
    purpose:
      'One for each rule over requests. [rules.md](rules.md) has the language, and every name that a rule can use.',
    rows: Object.values(ruleKeys),
  },
  {
    head: '[[listener]]',
    purpose:
      'A place where the API is served, in the stead of `server_addr`. A method is served when both `[api]` and the listener say so; one of the two must have a list. Later documents may narrow a listener by its name, and add none. There can be one of them yet.',
    rows: Object.values(listenerKeys),
  },
  {
    head: '[delivery]',
    purpose:
      'How further documents come. Without this section there are none. Each of them can only narrow what the documents before it say.',
    rows: rowsOf('delivery'),
  },
  {
    head: '[measurement]',
    purpose: 'Registers that the digest of the configuration is extended into, before anything listens.',
    rows: rowsOf('measurement'),
  },
  { head: '[audit]', purpose: 'The record of decisions.', rows: rowsOf('audit') },
  { head: '[limits]', purpose: 'Bounds on what callers can ask for.', rows: rowsOf('limits') },
];

/** docs/reference/settings.md */
export function settingsPage(): string {
  return [
    pageHead('Settings', 'the settings table of packages/config'),
    '\nFor whoever writes a configuration: every key, what it is for, and who else may set it. ',
    'A document is TOML; all of its sections and keys are optional. To begin with one, ',
    '`kata-agent-ctl config init`; for an editor that completes keys and names, `kata-agent-ctl config schema` ',
    '([the same, as a file](kata-agent.schema.json)).\n\n',
    example,
    '\n## All keys\n\n',
    '`version = 1`, the version of this language, may stand before the sections.\n\n',
    markdownTable(
      ['section', 'keys'],
      sections.map(({ head, rows }) => [
        `[${code(head)}](#${anchor(head)})`,
        rows.map((row) => `[${row.key}](#${anchor(rowHead(head, row))})`).join(', '),
      ]),
    ),
    words,
    ...sections.map(sectionText),
  ].join('');
}

const example = `\`\`\`toml
[agent]
log_level = "info"
lock = true                 # neither flags, environment nor kernel line change any of this

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

const words = `
## Words of this page

- **merge**: what becomes of a key that several documents set. \`intersect\` and \`union\`: of what lists cover. \`minimum\`, \`earliest\`, \`or\`: of what they say. \`base only\`: it may stand in the first document alone. \`owner\`: the first document that sets it; another value elsewhere is an error.
- **opens the guest**: once the documents restrict the API, no override changes it, unless \`overridable\` names it.
- **not built yet**: a setting of Kata’s warns when it is set to other than its default, one of ours is an error.
- Overrides win in this order: command line, environment, kernel line. One that the documents forbid is ignored, warned of and recorded.
`;

function rowsOf(section: SettingRow['section']): readonly SettingRow[] {
  return settings.filter((row) => row.section === section);
}

function sectionText({ head, purpose, rows }: Section): string {
  return `\n## \`${head}\`\n\n${purpose}\n${rows.map((row) => rowText(head, row)).join('')}`;
}

/** Keys of two sections may have one name; the heading of a table's key says whose it is. */
function rowHead(head: string, row: SettingRow | EntryKeyRow): string {
  return 'table' in row ? `\`${row.key}\` of \`${head}\`` : `\`${row.key}\``;
}

function rowText(head: string, row: SettingRow | EntryKeyRow): string {
  const built = row.built === 'yes' ? '' : ' **Not built yet.**';
  const lines = 'table' in row ? entryLines(row) : settingLines(row);
  return `\n### ${rowHead(head, row)}\n\n${row.purpose}${built}\n\n${lines.map((line) => `- ${line}\n`).join('')}`;
}

function settingLines(row: SettingRow): readonly string[] {
  const preset = row.default === undefined ? 'none' : code(row.type.write(row.default));
  const lines = [
    `Value: ${row.type.name}. Default: ${preset}.`,
    `Example: ${code(`${row.key} = ${row.example}`)}`,
    `Merge: ${row.merge}.${row.opensGuest ? ' It opens the guest.' : ''}`,
  ];
  if (row.override === undefined) return lines;
  const { flag, environment, kernelWord, kernelAlias } = row.override;
  const alias = kernelAlias === undefined ? [] : [`${kernelAlias.word}=${kernelAlias.value}`];
  const kernel = [kernelWord, ...alias].map(code).join(' or ');
  return [
    ...lines,
    `Overridden by: command line ${code(flag)}, environment ${code(environment)}, kernel line ${kernel}`,
  ];
}

function entryLines(row: EntryKeyRow): readonly string[] {
  return [
    `Value: ${row.type.name}. ${row.required ? 'It must stand there.' : `Without it: ${row.otherwise}.`}`,
    `Example: ${code(`${row.key} = ${row.example}`)}`,
    row.later ? 'Any document may have it.' : 'Only the base document may have it.',
  ];
}

/** As GitHub makes the anchor of a heading. */
function anchor(heading: string): string {
  return heading
    .toLowerCase()
    .replace(/[^a-z0-9_ -]/g, '')
    .replaceAll(' ', '-');
}
