import { exitCodes } from '../exit-code.js';
import { code, markdownTable, pageHead } from './markdown.js';
import { statuses } from './statuses.js';

/** docs/reference/errors.md */
export function errorsPage(): string {
  return [
    pageHead(
      'Errors',
      'the tables in packages/ctl/src/exit-code.ts and packages/ctl/src/reference/statuses.ts',
    ),
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
    'and the exit code is 1. Nothing listens then.\n',
  ].join('');
}
