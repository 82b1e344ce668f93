import type { ApiSettings } from '../configuration.js';
import { boolean } from '../value-types/boolean.js';
import { deniedOutput } from '../value-types/denied-output.js';
import { oneOf } from '../value-types/one-of.js';
import { release } from '../value-types/release.js';
import { endpointList, optional } from '../value-types/text.js';
import type { Setting } from './setting.js';

/** The keys of `[api]` as they are written; the lists are expanded elsewhere. */
export interface ApiKeys {
  readonly release: string | undefined;
  readonly allowedEndpoints: readonly string[] | undefined;
  readonly blockedEndpoints: readonly string[] | undefined;
  readonly strict: ApiSettings['strict'];
  readonly onDeniedRead: ApiSettings['onDeniedRead'];
  readonly deniedOutput: ApiSettings['deniedOutput'];
}

const common = { section: 'api', opensGuest: false, override: undefined, built: 'yes' } as const;

/** The rows of `[api]`. */
export const apiSettings: { readonly [P in keyof ApiKeys]: Setting<ApiKeys[P]> } = {
  release: {
    ...common,
    key: 'release',
    type: optional(release),
    default: undefined,
    purpose:
      'The release of Kata Containers that the lists were written for; methods that came later are not served.',
    example: '"3.21"',
    merge: 'earliest',
  },
  allowedEndpoints: {
    ...common,
    key: 'allowed_endpoints',
    type: endpointList,
    default: undefined,
    purpose: 'The methods that are served: names, @groups, or "*" for all.',
    example: '["@pod", "ReadStdout", "ReadStderr"]',
    merge: 'intersect',
  },
  blockedEndpoints: {
    ...common,
    key: 'blocked_endpoints',
    type: endpointList,
    default: undefined,
    purpose: 'Methods that are not served, whatever the other list says; alone, it leaves the rest served.',
    example: '["ExecProcess", "ReseedRandomDev"]',
    merge: 'union',
  },
  strict: {
    ...common,
    key: 'strict',
    type: boolean,
    default: false,
    purpose: 'Whether lists that make no sense are errors, and lists that could grow need a release.',
    example: 'true',
    merge: 'or',
  },
  onDeniedRead: {
    ...common,
    key: 'on_denied_read',
    type: oneOf(['error', 'eof']),
    default: 'error',
    purpose: 'What a reader of output that is not served is answered: an error, or the end of the file.',
    example: '"eof"',
    merge: 'base only',
  },
  deniedOutput: {
    ...common,
    key: 'denied_output',
    type: deniedOutput,
    default: 'discard',
    purpose:
      'What becomes of output that nobody may read: it is dropped, or the last of it kept in the guest.',
    example: '"64KiB"',
    merge: 'base only',
  },
};
