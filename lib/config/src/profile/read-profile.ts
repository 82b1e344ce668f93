import type { MethodName } from '@kata-agent/catalogue';
import { type Profile, type ProfileRule, recordType, ruleNameOf } from '@kata-agent/catalogue/profiles';
import type { Rule, RuleValues } from '../configuration.js';
import type { Span } from '../diagnostics/diagnostic.js';
import { quote } from '../diagnostics/display-text.js';
import { nearest } from '../diagnostics/misspelled-name.js';
import type { Report } from '../diagnostics/report.js';
import { describeToml, type TomlTable, type TomlValue } from '../toml/toml-value.js';
import { findProfile, profileReference } from './profile-digest.js';
import { type PatternCheck, readValues } from './read-values.js';

/**
 * Returns the rules of the profile that a document names, in order, with its values: of an exception only the name. Empty: it names no
 * profile.
 */
export function readProfile(
  api: TomlTable,
  check: PatternCheck,
  report: Report,
): readonly (Rule | { readonly except: string })[] {
  const { entries } = api;
  const [named, except, values] = [
    entries.get('profile'),
    entries.get('profile_except'),
    entries.get('values'),
  ];
  if (named === undefined) {
    for (const [key, entry] of [
      ['profile_except', except],
      ['values', values],
    ] as const)
      if (entry !== undefined)
        report.error(
          'KA1108',
          entry.span,
          `${key} has no effect: the document names no profile`,
          'remove it, or name a profile',
        );
    return [];
  }
  const { value } = named;
  if (value.kind !== 'string' || !profileReference.test(value.value)) {
    report.error(
      'KA1102',
      value.span,
      `profile must be NAME@sha256: and 64 hex digits, not ${describeToml(value)}`,
      'kata-agent-ctl config generate writes it',
    );
    return [];
  }
  const found = findProfile(value.value);
  if (!found.ok) {
    report.error('KA1316', value.span, found.message, found.help);
    return [];
  }
  const { profile } = found;
  if (values !== undefined && values.value.kind !== 'table') {
    report.error(
      'KA1103',
      values.span,
      `api.values must be a table, not ${describeToml(values.value)}`,
      'write [api.values]',
    );
    return [];
  }
  const left = readExcept(except?.value, profile, report);
  const table = values?.value.kind === 'table' ? values.value : undefined;
  const constants = readValues(table, profile.values, named.span, check, report);
  const own: RuleValues = Object.freeze({ type: recordType(profile.values), value: constants });
  return profile.rules.map((rule) => {
    const name = ruleNameOf(rule);
    return left.has(name) ? { except: name } : ruleOf(rule, profile, own, value.span);
  });
}

function readExcept(given: TomlValue | undefined, profile: Profile, report: Report): ReadonlySet<string> {
  const names = new Set(profile.rules.map(ruleNameOf));
  if (given === undefined) return new Set();
  if (given.kind !== 'array') {
    report.error(
      'KA1102',
      given.span,
      `profile_except must be a list, not ${describeToml(given)}`,
      'for example: ["create-container-devices"]',
    );
    return new Set();
  }
  const left = new Set<string>();
  for (const item of given.items) {
    if (report.full) break;
    if (item.kind === 'string' && names.has(item.value)) {
      left.add(item.value);
      continue;
    }
    const near = item.kind === 'string' ? nearest(item.value, [...names]) : undefined;
    report.error(
      'KA1101',
      item.span,
      item.kind === 'string'
        ? `the profile ${profile.name} has no rule ${quote(item.value)}`
        : `an entry of profile_except must be a text, not ${describeToml(item)}`,
      near === undefined ? 'docs/reference/profiles.md lists the rules' : `did you mean "${near}"?`,
    );
  }
  return left;
}

function ruleOf(rule: ProfileRule, profile: Profile, values: RuleValues, span: Span): Rule {
  const name = ruleNameOf(rule);
  return {
    name,
    methods: new Map<MethodName, { entry: string; span: Span }>([
      [rule.method, { entry: rule.method, span }],
    ]),
    expression: rule.expression,
    message: rule.message,
    enforcement: 'enforce',
    profile: { name: profile.name, values },
    ...(rule.readsGuest === true
      ? {
          needsGuest: [
            {
              severity: 'error' as const,
              code: 'KA1315' as const,
              span,
              message: `rule "${name}" of the profile uses the state of the guest`,
              help: `leave it out: profile_except = ["${name}"]; docs/forward-mode.md lists what rules cannot use`,
            },
          ],
        }
      : {}),
    span,
  };
}
