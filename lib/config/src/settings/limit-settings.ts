import type { LimitSettings } from '../configuration.js';
import { duration, size } from '../value-types/quantities.js';
import { integer } from '../value-types/scalars.js';
import type { Setting } from './setting.js';

const common = {
  section: 'limits',
  opensGuest: false,
  override: undefined,
  built: 'yes',
  merge: 'minimum',
} as const;

/** The rows of `[limits]` (S14, S15, S17). */
export const limitSettings: { readonly [P in keyof LimitSettings]: Setting<LimitSettings[P]> } = {
  connections: {
    ...common,
    key: 'connections',
    type: integer({ min: 1, max: 65_536, what: 'a number of connections' }),
    default: 64,
    purpose: 'Open connections of a listener; further ones are closed at once.',
    example: '64',
  },
  requestsPerConnection: {
    ...common,
    key: 'requests_per_connection',
    type: integer({ min: 1, max: 1_048_576, what: 'a number of requests' }),
    default: 1024,
    purpose: 'Requests that a connection may have in flight. Two reads wait for each process that runs.',
    example: '1024',
  },
  containers: {
    ...common,
    key: 'containers',
    type: integer({ min: 1, max: 65_536, what: 'a number of containers' }),
    default: 64,
    purpose: 'Containers that can exist at a time.',
    example: '64',
    withoutGuest: 'the inner agent creates containers and processes, and keeps their output',
  },
  execsPerContainer: {
    ...common,
    key: 'execs_per_container',
    type: integer({ min: 0, max: 65_536, what: 'a number of processes' }),
    default: 32,
    purpose:
      'Processes that ExecProcess can have in a container at a time. Kata’s runtime, at the first listener, can have all; each other caller fewer than are free then, and an eighth stays free of them.',
    example: '32',
    withoutGuest: 'the inner agent creates containers and processes, and keeps their output',
  },
  requestFields: {
    ...common,
    key: 'request_fields',
    type: integer({ min: 100, max: 10_000_000, what: 'a number of fields' }),
    default: 20_000,
    purpose: 'Fields and elements that a request may hold; a request with more is not decoded.',
    example: '20000',
  },
  streamBuffer: {
    ...common,
    key: 'stream_buffer',
    type: size({ min: 4096, max: 2 ** 30 }),
    default: 1024 * 1024,
    purpose: 'Output of a process that is buffered for its reader, per stream.',
    example: '"1MiB"',
    withoutGuest: 'the inner agent creates containers and processes, and keeps their output',
  },
  frameTimeoutMs: {
    ...common,
    key: 'frame_timeout',
    type: duration({ minMs: 100, maxMs: 3_600_000 }),
    default: 10_000,
    purpose: 'The time from the first byte of a frame to its last.',
    example: '"10s"',
  },
};
