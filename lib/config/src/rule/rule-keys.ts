import type { Rule } from '../configuration.js';
import type { EntryKey } from '../document/entry-key.js';
import { endpointList, entryName, expressionText, messageText } from '../value-types/text.js';
import { oneOf } from '../value-types/scalars.js';

/** The keys of `[[api.rule]]` as written. */
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
    purpose: 'Its name in messages and audit records; unique in a guest.',
    example: '"known-commands"',
    otherwise: 'it is required',
  },
  endpoints: {
    ...common,
    key: 'endpoints',
    type: endpointList,
    purpose: 'The methods whose requests must pass: names, @groups, or "*" for all.',
    example: '["ExecProcess"]',
    otherwise: 'it is required',
  },
  expression: {
    ...common,
    key: 'expression',
    type: expressionText,
    purpose: 'The condition that a request must fulfil, in CEL; an evaluation error denies the request.',
    example: "'!terminal'",
    otherwise: 'it is required',
  },
  message: {
    ...common,
    key: 'message',
    type: messageText,
    required: false,
    purpose: 'The message to the caller of a denied request, after the name of the rule.',
    example: '"only the health check may be executed in this pod"',
    otherwise: 'only the name of the rule',
  },
  enforcement: {
    ...common,
    key: 'enforcement',
    type: oneOf(['enforce', 'audit']),
    required: false,
    purpose: 'Whether the rule denies, or only records what it would deny.',
    example: '"audit"',
    otherwise: '"enforce"',
  },
  onDeniedRead: {
    ...common,
    key: 'on_denied_read',
    type: oneOf(['error', 'eof']),
    required: false,
    purpose: 'The answer to a ReadStdout or ReadStderr that this rule denies: an error, or end of file.',
    example: '"eof"',
    otherwise: 'as on_denied_read of [api]',
    later: false,
  },
};
