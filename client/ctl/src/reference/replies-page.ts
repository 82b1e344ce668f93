import { replyContents } from '@kata-agent/catalogue';
import { code, markdownTable, pageHead } from './markdown.js';

/** docs/reference/replies.md */
export function repliesPage(): string {
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
