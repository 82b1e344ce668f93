import type { ProcessRef } from '../actions.js';
import { GuestError } from '../guest-error.js';
import type { PreparedStreams, StreamOptions } from './prepare-streams.js';

export function prepareTerminal(_ref: ProcessRef, _options: StreamOptions): Promise<PreparedStreams> {
  return Promise.reject(new GuestError('unimplemented', 'terminals are not built yet'));
}
