import type { MethodName } from '@kata-agent/catalogue';
import type { RuleChecker } from './configuration.js';
import type { Diagnostic } from './diagnostics/diagnostic.js';
import { loadConfiguration } from './load.js';

export interface Checked {
  /** Errors and warnings in document order. */
  readonly diagnostics: readonly Diagnostic[];
  /** 1: the document would not load, or its sets are inconsistent. */
  readonly exitCode: 0 | 1;
}

export interface CheckOptions {
  /** The methods whose handlers a build contains; undefined: all. */
  readonly handlers?: ReadonlySet<MethodName>;
  /** Called when the document contains a rule; without it a rule is an error. */
  readonly rules?: () => Promise<RuleChecker>;
}

/** Checks a base document on any machine, without overrides and without checking its location or owner. */
export async function checkDocument(
  bytes: Uint8Array,
  file: string,
  options: CheckOptions = {},
): Promise<Checked> {
  const loaded = await loadConfiguration({
    flags: {},
    environment: {},
    builtIn: { name: file, bytes },
    files: {
      read: () => ({
        ok: false,
        missing: true,
        code: 'KA1603',
        message: 'there is no other document',
        help: '',
      }),
    },
    rules: options.rules ?? (() => Promise.resolve(noChecker)),
    delivery: [],
    hostData: () => ({
      ok: false,
      message: 'there is no report on this machine',
      help: 'check it in the guest',
    }),
    ...(options.handlers === undefined ? {} : { handlers: options.handlers }),
    offline: { later: [], sense: 'error' },
  });
  return loaded.ok
    ? { diagnostics: loaded.configuration.warnings, exitCode: 0 }
    : { diagnostics: loaded.diagnostics, exitCode: 1 };
}

/** Fails closed: an unchecked rule is not reported as valid. */
const noChecker: RuleChecker = {
  check: ({ expression }) => ({
    needsGuest: [],
    faults: [
      {
        severity: 'error',
        code: 'KA1314',
        start: 0,
        end: expression.length,
        message: 'rules cannot be checked here',
        help: 'check the document with kata-agent-ctl config check',
      },
    ],
  }),
};
