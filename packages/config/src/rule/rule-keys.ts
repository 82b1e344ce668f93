import type { Rule } from '../configuration.js';
import type { EntryKey } from '../document/entry-key.js';
import { entryName } from '../value-types/name.js';
import { expressionText, messageText } from '../value-types/expression.js';
import { oneOf } from '../value-types/one-of.js';
import { endpointList } from '../value-types/text.js';

/** The keys of `[[api.rule]]` as they are written. */
export interface RuleKeys {
  readonly name: string;
  readonly endpoints: readonly string[] | undefined;
  readonly expression: string;
  readonly message: string;
  readonly enforcement: Rule['enforcement'];
  readonly onDeniedRead: 'error' | 'eof';
}

const common = { table: 'api.rule', required: true, later: true, built: 'yes' } as const;

/** The rows of `[[api.rule]]`. */
export const ruleKeys: { readonly [P in keyof RuleKeys]: EntryKey<RuleKeys[P]> } = {
  name: {
    ...common,
    key: 'name',
    type: entryName,
    purpose: 'What messages and records call it; no two rules of a guest have the same.',
    example: '"known-commands"',
    otherwise: 'it must stand here',
  },
  endpoints: {
    ...common,
    key: 'endpoints',
    type: endpointList,
    purpose: 'The methods whose requests must pass: names, @groups, or "*" for all.',
    example: '["ExecProcess"]',
    otherwise: 'it must stand here',
  },
  expression: {
    ...common,
    key: 'expression',
    type: expressionText,
    purpose: 'What must be true of a request, in CEL; an error while it is worked out refuses the request.',
    example: "'!terminal'",
    otherwise: 'it must stand here',
  },
  message: {
    ...common,
    key: 'message',
    type: messageText,
    required: false,
    purpose: 'What a caller that is refused is told besides the name of the rule.',
    example: '"only the health check may be executed in this pod"',
    otherwise: 'the name of the rule alone',
  },
  enforcement: {
    ...common,
    key: 'enforcement',
    type: oneOf(['enforce', 'audit']),
    required: false,
    purpose: 'Whether the rule refuses, or only records what it would refuse.',
    example: '"audit"',
    otherwise: '"enforce"',
  },
  onDeniedRead: {
    ...common,
    key: 'on_denied_read',
    type: oneOf(['error', 'eof']),
    required: false,
    purpose:
      'What ReadStdout and ReadStderr answer when this rule refuses: an error, or the end of the file.',
    example: '"eof"',
    otherwise: 'what on_denied_read of [api] says',
    later: false,
  },
};
