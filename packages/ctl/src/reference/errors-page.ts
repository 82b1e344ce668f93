import { consistency } from '@kata-agent/catalogue';
import { checkDocument, renderDiagnostic } from '@kata-agent/config';
import { createRuleChecker } from '@kata-agent/gate/rules';
import { exitCodes } from '../exit-code.js';
import { code, markdownTable, pageHead } from './markdown.js';
import { type Mistake, mistakes } from './mistakes.js';
import { statuses } from './statuses.js';

/** docs/reference/errors.md */
export async function errorsPage(): Promise<string> {
  const shown = await Promise.all(mistakes.map(mistakeText));
  return [
    pageHead(
      'Errors',
      'the tables in packages/ctl/src and packages/catalogue, and from what the loader prints',
    ),
    '\nFor whoever reads a message and wants to know what it means: of a program that ended, of a call that was ',
    'refused, or of a configuration that is wrong.\n',
    '\n## Exit codes\n\nOf `kata-agent` and `kata-agent-ctl`.\n\n',
    markdownTable(
      ['code', 'name', 'meaning'],
      exitCodes.map((row) => [String(row.code), row.name, row.meaning]),
    ),
    '\n`kata-agent-ctl` prints why on standard error; with `--format json` as one line of JSON: ',
    'an object with `error`, whose `kind` is `not-served`, `not-built`, `denied` or `failed` for a call that the agent answered with an error, ',
    '`command` for anything else that can be mended, and `internal` for an error of the program itself.\n',
    '\n## Statuses of replies\n\n',
    markdownTable(
      ['status', 'when', 'what Kata’s runtimes make of it'],
      statuses.map((row) => [row.status.split(', ').map(code).join(', '), row.when, row.clients]),
    ),
    '\nA call that is not served is never `PERMISSION_DENIED`, and one that a check refused is never `UNIMPLEMENTED`.\n',
    '\n## Errors in a configuration\n\nAll errors of a document are printed at once, each as\n\n',
    '```\nFILE:LINE:COLUMN: message\n  the line\n  ^^^^ the place\nhelp: the nearest valid text, or what mends it\n```\n\n',
    'and the exit code is 1. Nothing listens then. In a guest the same text goes to the console and the log.\n',
    '\n### Sets that make no sense\n\n',
    'A warning when an agent starts; an error under `strict = true` and in `kata-agent-ctl config check`.\n\n',
    markdownTable(
      ['served', 'without', 'what happens', 'help'],
      consistency.map(({ when, needs, why, help }) => [when.join(', '), needs.join(', '), why, help]),
    ),
    '\n## Frequent mistakes\n\nAs `kata-agent-ctl config check` prints them.\n',
    ...shown,
  ].join('');
}

/** What the offline check prints of a document, without colours. */
export async function printedFor(text: string): Promise<string> {
  const { diagnostics } = await checkDocument(new TextEncoder().encode(text), 'config.toml', {
    rules: () => Promise.resolve(createRuleChecker()),
  });
  return diagnostics.map((diagnostic) => renderDiagnostic(diagnostic)).join('\n\n');
}

async function mistakeText({ title, wrong, right }: Mistake): Promise<string> {
  const printed = await printedFor(wrong);
  return `\n### ${title}\n\n\`\`\`text\n${printed}\n\`\`\`\n\n\`\`\`toml\n${right}\`\`\`\n`;
}
