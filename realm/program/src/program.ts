import type { Program } from '@kata-agent/cli';
import { collect } from './collect/collect.js';
import { serve } from './serve.js';
import { witnessKey } from './witness-key.js';

export const program: Program = {
  name: 'kata-realm',
  description:
    'Serves guests that dial out, for their operators, and keeps copies of audit logs outside the guests.',
  example: 'kata-realm collect -a vsock://3:1025 --to /var/lib/kata-audit',
  groups: [],
  commands: [serve, witnessKey, collect],
};
