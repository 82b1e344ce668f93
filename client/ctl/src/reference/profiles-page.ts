import {
  type ConstantType,
  type Profile,
  type ProfileValue,
  type ProfileValues,
  profiles,
  ruleNameOf,
} from '@kata-agent/catalogue/profiles';
import { profileDigest, profileName } from '@kata-agent/config';
import { code, markdownTable, markdownText, pageHead } from './markdown.js';

/** docs/reference/profiles.md */
export function profilesPage(): string {
  return [
    pageHead('Profiles', 'lib/catalogue/src/profiles'),
    introduction(profiles.get('rs-shared-1')),
    markdownTable(
      ['profile', 'for', 'rules', 'digest'],
      [...profiles.values()].map((profile) => [
        `[${profile.name}](#${profile.name})`,
        profile.purpose,
        String(profile.rules.length),
        code(`sha256:${profileDigest(profile)}`),
      ]),
    ),
    '\n## Values\n\nKeys of `[api.values]`. One that is not in the list of a profile is an error.\n\n',
    ...valueTables('api.values', allValues()),
    ...[...profiles.values()].map(profileText),
  ].join('');
}

function introduction(example: Profile | undefined): string {
  return `
What a runtime and an engine send for a pod is mostly the same for every pod. A *profile* has the rules for it; it lives in the
agent, has a version, and never changes once it is released. A document names one by its digest, and gives the values of its pod:

\`\`\`toml
[api]
allowed_endpoints = ["@pod"]
blocked_endpoints = ["CopyFile"]
profile = "${example === undefined ? '' : profileName(example)}"
profile_except = ["create-container-devices"]

[api.values]
host_name = "^web$"
pod_name = "^web$"

[[api.values.container]]
name = ""
args = ["/pause"]

[[api.values.container]]
name = "app"
args = ["sleep", "inf"]
\`\`\`

- The rules of the profile are in force as if the document had them, each under its own name; they read the values as \`values\`.
- An agent with another profile of that name, or without it, does not load the document (KA1316): no rule can be missing.
- \`profile_except\` names rules of the profile that are not in force: the document has its own in their place, with the same name, or none.
- A pattern is not anchored: write \`^…$\` for a whole text, as the generated documents do.
- The names of values, their types, and those that are required are checked when the document is loaded; so are patterns.
- \`kata-agent-ctl config generate\` and \`annotate\` write all of it for a pod; \`config generate --explicit\` writes every rule out.
  \`kata-agent-ctl config profile NAME\` prints a profile, and \`kata-agent-ctl config explain\` the rules that are in force.

`;
}

/** The values of all profiles: those with one name are the same. */
function allValues(): ProfileValues {
  return Object.assign({}, ...[...profiles.values()].map(({ values }) => values)) as ProfileValues;
}

function valueTables(name: string, rows: ProfileValues): readonly string[] {
  const inner = Object.entries(rows).flatMap(([key, row]) =>
    'tables' in row ? valueTables(`${name}.${key}`, row.tables) : [],
  );
  return [
    `### ${name}\n\n`,
    markdownTable(
      ['key', 'type', 'without it', 'meaning'],
      Object.entries(rows).map(([key, row]) => [code(key), typeText(row), otherwiseText(row), row.purpose]),
    ),
    '\n',
    ...inner,
  ];
}

function typeText(row: ProfileValue): string {
  return 'tables' in row ? 'tables' : nameOf(row.type);
}

function nameOf(type: ConstantType): string {
  if (typeof type === 'string')
    return { string: 'text', bool: 'true or false', int: 'number', pattern: 'pattern' }[type];
  return 'list' in type ? `list of ${pluralOf(type.list)}` : 'table';
}

/** Several of a type, as in a list: `texts`, `lists of texts`. */
function pluralOf(type: ConstantType): string {
  return typeof type !== 'string' && 'list' in type ? `lists of ${pluralOf(type.list)}` : `${nameOf(type)}s`;
}

function otherwiseText({ otherwise }: ProfileValue): string {
  if (otherwise === undefined) return 'it is required';
  return code(
    JSON.stringify(otherwise, (_, value: unknown) => (typeof value === 'bigint' ? Number(value) : value)),
  );
}

function profileText(profile: Profile): string {
  return [
    `\n## ${profile.name}\n\nFor ${profile.purpose}.\n`,
    ...profile.rules.map(
      (rule) =>
        `\n### ${profile.name}: ${ruleNameOf(rule)}\n\n${markdownText(rule.description)}\n\n` +
        `\`\`\`text\n${rule.expression}\n\`\`\`\n`,
    ),
  ].join('');
}
