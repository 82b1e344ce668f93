import { type CodeRow, codeSubjects, codes } from '@kata-agent/catalogue/codes';
import { exampleParts } from '../output/code-text.js';
import { markdownText, pageHead } from './markdown.js';

/** docs/reference/codes.md: what `kata-agent-ctl explain` prints, of every code. */
export function codesPage(): string {
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
