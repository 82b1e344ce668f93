import type { ApiSettings } from '../configuration.js';
import { boolean, oneOf } from '../value-types/scalars.js';
import { deniedOutput } from '../value-types/quantities.js';
import { endpointList, optional, release } from '../value-types/text.js';
import type { Setting } from './setting.js';

/** The keys of `[api]` as written; the lists are expanded elsewhere. */
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
      'The release of Kata Containers that the lists were written for; methods added later are not served.',
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
    purpose:
      'The methods that are not served, even if allowed_endpoints has them; without that list all others are served.',
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
    purpose: 'The answer to a denied read of output: an error, or end of file.',
    withoutGuest: 'the inner agent keeps output that is not read, and a workload waits once its pipe is full',
    example: '"eof"',
    merge: 'base only',
  },
  deniedOutput: {
    ...common,
    key: 'denied_output',
    type: deniedOutput,
    default: 'discard',
    purpose:
      'What happens to output that no caller may read: it is discarded, or its end is kept in the guest.',
    example: '"64KiB"',
    withoutGuest: 'the inner agent keeps output that is not read, and a workload waits once its pipe is full',
    merge: 'base only',
  },
};
