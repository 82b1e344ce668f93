import type { Trust } from '@kata-agent/audit';

/** Describes what a checkpoint proves, in the words of docs/trust.md, "The audit log". */
export function trustText(trust: Trust): string {
  switch (trust.kind) {
    case 'evidence':
      return 'bound by evidence';
    case 'witnesses':
      return `cosigned by ${trust.count} ${trust.count === 1 ? 'witness' : 'witnesses'}`;
    case 'pinned':
      return 'pinned by the caller';
    case 'self-signed':
      return 'self-signed only';
  }
}
