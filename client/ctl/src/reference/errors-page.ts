import { consistency } from '@kata-agent/catalogue';
import { checkDocument, renderDiagnostic } from '@kata-agent/config';
import { createRuleChecker } from '@kata-agent/gate/rules';
import { exitCodes } from '@kata-agent/cli';
import { code, markdownTable, pageHead } from './markdown.js';
import { statuses } from '../output/statuses.js';

/** Mistakes in errors.md, each shown with the loader's message. A test loads both documents. */
export const mistakes: readonly Mistake[] = [
  {
    title: 'A misspelt method name',
    wrong: '[api]\nallowed_endpoints = ["@pod", "ExecProces"]\n',
    right: '[api]\nallowed_endpoints = ["@pod", "ExecProcess"]\n',
  },
  {
    title: 'The name of a request, as in Kata’s policies',
    wrong: '[api]\nallowed_endpoints = ["@pod", "ReadStreamRequest"]\n',
    right: '[api]\nallowed_endpoints = ["@pod", "ReadStdout", "ReadStderr"]\n',
  },
  {
    title: 'A pattern',
    wrong: '[api]\nallowed_endpoints = ["@pod", "Read*"]\n',
    right: '[api]\nallowed_endpoints = ["@pod", "@logs"]\n',
  },
  {
    title: 'A key in the wrong section',
    wrong: 'log_level = "debug"\n[api]\nallowed_endpoints = ["@pod"]\n',
    right: '[agent]\nlog_level = "debug"\n[api]\nallowed_endpoints = ["@pod"]\n',
  },
  {
    title: 'A value of the wrong type',
    wrong: '[agent]\nhotplug_timeout = "3"\n[api]\nallowed_endpoints = ["@pod"]\n',
    right: '[agent]\nhotplug_timeout = 3\n[api]\nallowed_endpoints = ["@pod"]\n',
  },
  {
    title: 'A release without quotes, which loses a trailing 0',
    wrong: '[api]\nrelease = 3.20\nallowed_endpoints = ["@pod"]\n',
    right: '[api]\nrelease = "3.20"\nallowed_endpoints = ["@pod"]\n',
  },
  {
    title: 'Inconsistent settings',
    wrong: '[api]\nallowed_endpoints = ["@pod", "PauseContainer"]\n',
    right: '[api]\nallowed_endpoints = ["@pod", "@pause"]\n',
  },
  {
    title: 'A list whose members can change later, with strict',
    wrong: '[api]\nstrict = true\nallowed_endpoints = ["@pod"]\n',
    right: '[api]\nstrict = true\nrelease = "3.21"\nallowed_endpoints = ["@pod"]\n',
  },
  {
    title: 'A field that the request does not have',
    wrong:
      '[api]\nallowed_endpoints = ["@pod", "@exec"]\n\n[[api.rule]]\nname = "no-shell"\nendpoints = ["ExecProcess"]\nexpression = \'request.process.args[0] != "/bin/sh"\'\n',
    right:
      '[api]\nallowed_endpoints = ["@pod", "@exec"]\n\n[[api.rule]]\nname = "no-shell"\nendpoints = ["ExecProcess"]\nexpression = \'request.process.Args[0] != "/bin/sh"\'\n',
  },
  {
    title: 'A string compared with a number',
    wrong:
      '[api]\nallowed_endpoints = ["@pod", "@exec"]\n\n[[api.rule]]\nname = "first"\nendpoints = ["ExecProcess"]\nexpression = \'request.exec_id == 5\'\n',
    right:
      '[api]\nallowed_endpoints = ["@pod", "@exec"]\n\n[[api.rule]]\nname = "first"\nendpoints = ["ExecProcess"]\nexpression = \'request.exec_id == "5"\'\n',
  },
];

/** docs/reference/errors.md */
export async function errorsPage(): Promise<string> {
  const shown = await Promise.all(mistakes.map(mistakeText));
  return [
    pageHead('Errors', 'the tables in client/ctl/src and lib/catalogue, and from what the loader prints'),
    '\nExit codes of the programs, statuses of failed calls, and errors in a configuration, ',
    'each with its meaning.\n',
    '\n## Exit codes\n\nOf `kata-agent` and `kata-agent-ctl`.\n\n',
    markdownTable(
      ['code', 'name', 'meaning'],
      exitCodes.map((row) => [String(row.code), row.name, row.meaning]),
    ),
    '\n`kata-agent-ctl` prints the reason on standard error; with `--format json` as one line of JSON: ',
    'an object with `error`, whose `kind` is `not-served`, `not-built`, `denied` or `failed` if the agent answered a call with an error, ',
    '`command` for any other error that a user can fix, and `internal` for a bug in the program.\n',
    '\n## Statuses of replies\n\n',
    markdownTable(
      ['status', 'when', 'what Kata’s runtimes do'],
      statuses.map((row) => [row.status.split(', ').map(code).join(', '), row.when, row.clients]),
    ),
    '\nA method that is not served is never answered with `PERMISSION_DENIED`, and a denied request never with `UNIMPLEMENTED`.\n',
    '\n## A call was refused\n\n',
    'The audit log has the reason: `kata-agent-ctl audit show --denied FILE`; with a code, `kata-agent-ctl explain CODE` has more. ',
    'A call without a record in this list reached the guest and failed there: the reply has the reason. ',
    '`kata-agent-ctl config explain FILE` prints for each method whether it is served, and why.\n',
    '\n## Errors in a configuration\n\nAll errors of a document are printed, each as\n\n',
    '```\nFILE:LINE:COLUMN: error[CODE]: message\n  the line\n  ^^^^ the position\nhelp: the nearest valid text, or how to fix it\n```\n\n',
    'and the exit code is 1. `kata-agent-ctl explain CODE` and [Codes](codes.md) have more about a code. The agent then does not listen. In a guest the same text goes to the console and the agent log.\n',
    '\n### Inconsistent settings\n\n',
    'A warning when an agent starts; an error with `strict = true` and in `kata-agent-ctl config check`.\n\n',
    markdownTable(
      ['served', 'without', 'what happens', 'help'],
      consistency.map(({ when, needs, why, help }) => [when.join(', '), needs.join(', '), why, help]),
    ),
    '\n## Frequent mistakes\n\nAs `kata-agent-ctl config check` prints them.\n',
    ...shown,
  ].join('');
}

/** Returns what the offline check prints for a document, without colours. */
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

/** A document with one frequent mistake, and the corrected document. */
interface Mistake {
  readonly title: string;
  readonly wrong: string;
  readonly right: string;
}
