import { configurationSchema, starters } from '@kata-agent/analysis';
import { replyContents } from '@kata-agent/catalogue';
import { type CodeRow, codes, codeSubjects } from '@kata-agent/catalogue/codes';
import { helpText } from '@kata-agent/cli';
import { exampleParts } from '../output/code-text.js';
import { program } from '../program.js';
import { differencesPage } from './differences-page.js';
import { endpointsPage } from './endpoints-page.js';
import { errorsPage } from './errors-page.js';
import { code, markdownTable, markdownText, pageHead } from './markdown.js';
import { profilesPage } from './profiles-page.js';
import { rulesPage } from './rules-page.js';
import { settingsPage } from './settings-page.js';

const purpose = `\nThe help of every command, as the program prints it. Commands below \`config\` and \`audit\` work on files, on any machine, without an agent.\n`;

/**
 * Returns the generated files, by path below the repository's root: the reference pages, the JSON Schema for editors,
 * and the examples that `config init` prints.
 */
export async function referencePages(): Promise<Record<string, string>> {
  return {
    'docs/reference/codes.md': codesPage(),
    'docs/reference/commands.md': commandsPage(),
    'docs/reference/differences.md': differencesPage(),
    'docs/reference/endpoints.md': endpointsPage(),
    'docs/reference/errors.md': await errorsPage(),
    'docs/reference/profiles.md': profilesPage(),
    'docs/reference/replies.md': repliesPage(),
    'docs/reference/rules.md': rulesPage(),
    'docs/reference/settings.md': settingsPage(),
    'docs/reference/kata-agent.schema.json': `${JSON.stringify(configurationSchema(), null, 2)}\n`,
    ...Object.fromEntries(starters.map(({ name, text }) => [`examples/${name}.toml`, text])),
  };
}

/** docs/reference/commands.md: the help of every command, as the program prints it. */
function commandsPage(): string {
  return `${pageHead('Commands of kata-agent-ctl', 'client/ctl/src/commands')}${purpose}${helpText(program)}`;
}

/** docs/reference/replies.md */
function repliesPage(): string {
  return [
    pageHead('Replies', 'lib/catalogue'),
    '\nWhat the reply to each method of `grpc.AgentService` tells the host, what of it this agent takes out, and under which ',
    'condition ([S40](../security.md), [replies](../adr/replies.md)). A field of a reply without a text here ',
    'fails a test. A method that a listener does not serve tells nothing at all.\n\n',
    markdownTable(
      ['method', 'its reply tells', 'withheld', 'when'],
      [...replyContents].map(([method, { fields, withheld, condition }]) => [
        `[${method}](endpoints.md#${method.toLowerCase()})`,
        fieldsText(fields),
        withheld,
        condition,
      ]),
    ),
    '\n## Errors\n\nAn error names what the request named, and the rule or the check that refused it. These have more:\n\n',
    markdownTable(
      ['method', 'an error can tell'],
      [...replyContents].flatMap(([method, { errors }]) => (errors === '' ? [] : [[method, errors]])),
    ),
    '\nThe time that a call takes is not hidden: a caller can measure it.\n',
  ].join('');
}

function fieldsText(fields: Readonly<Record<string, string>>): string {
  const texts = Object.entries(fields);
  if (texts.length === 0) return 'that it was carried out';
  const [first, second] = [...new Set(texts.map(([, text]) => text))];
  if (first !== undefined && second === undefined && texts.length > 1) return first;
  return texts.map(([name, text]) => `${code(name)}: ${text}`).join('; ');
}

/** docs/reference/codes.md: what `kata-agent-ctl explain` prints, of every code. */
function codesPage(): string {
  const rows = Object.entries(codes);
  return [
    pageHead('Codes', 'lib/catalogue/src/codes'),
    '\nEvery error and warning about a configuration has a code, such as `error[KA1201]`, and every call that lists, rules or the check of privileges deny: `decision.code` of its audit record. A check of the guest has no code: `result.message` of the outcome says why. A code keeps its meaning; messages may change, so compare codes in scripts and tests.\n',
    '`kata-agent-ctl explain CODE` prints the same text, and `--format json` has the codes. [Statuses of replies](errors.md#statuses-of-replies) are explained by their names.\n',
    ...Array.from(codeSubjects, ([prefix, subject]) =>
      [
        `\n## ${subject}\n`,
        ...rows.filter(([code]) => code.startsWith(prefix)).map(([code, row]) => section(code, row)),
      ].join(''),
    ),
  ].join('');
}

function section(code: string, { title, explanation, example, remedy }: CodeRow): string {
  const parts = exampleParts(example).map(
    ({ name, text }) => `\nExample, ${name}:\n\n\`\`\`text\n${text}\`\`\`\n`,
  );
  return [
    `\n### ${code}\n\n**${markdownText(sentence(title))}.** ${markdownText(explanation)}\n`,
    ...parts,
    `\nHow to fix it: ${markdownText(remedy)}\n`,
  ].join('');
}

function sentence(title: string): string {
  return title.replace(/^[a-z]/, (letter) => letter.toUpperCase());
}
