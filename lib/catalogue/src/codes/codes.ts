import type { CodeRow } from './code-row.js';
import { type DeliveryCode, deliveryCodes } from './delivery-codes.js';
import { type DocumentCode, documentCodes } from './document-codes.js';
import { type EndpointCode, endpointCodes } from './endpoint-codes.js';
import { type FileCode, fileCodes } from './file-codes.js';
import { type RefusalCode, refusalCodes } from './refusal-codes.js';
import { type RuleCode, ruleCodes } from './rule-codes.js';
import { type SettingCode, settingCodes } from './setting-codes.js';
import { type TomlCode, tomlCodes } from './toml-codes.js';

export type { CodeExample, CodeRow } from './code-row.js';
export type { RefusalCode } from './refusal-codes.js';

/**
 * The code of a diagnostic. Codes are stable, while messages may change; a retired code is not reused
 * (docs/adr/configuration.md, "Codes").
 */
export type DiagnosticCode =
  | TomlCode
  | SettingCode
  | EndpointCode
  | RuleCode
  | DocumentCode
  | DeliveryCode
  | FileCode;

/** Any code of the table. */
export type Code = DiagnosticCode | RefusalCode;

/** All codes, in ascending order. */
export const codes: Readonly<Record<Code, CodeRow>> = {
  ...tomlCodes,
  ...settingCodes,
  ...endpointCodes,
  ...ruleCodes,
  ...documentCodes,
  ...deliveryCodes,
  ...fileCodes,
  ...refusalCodes,
};

/** Subjects of the codes, by their first two digits, in ascending order. */
export const codeSubjects: ReadonlyMap<string, string> = new Map([
  ['KA10', 'Text and TOML'],
  ['KA11', 'Sections, keys and values'],
  ['KA12', 'Endpoints'],
  ['KA13', 'Rules'],
  ['KA14', 'Listeners'],
  ['KA15', 'Overrides'],
  ['KA16', 'The base document'],
  ['KA17', 'Further documents'],
  ['KA18', 'Policies at run time'],
  ['KA19', "Files of Kata's agent"],
  ['KA20', 'Suites and scenarios'],
  ['KA30', 'Calls that the lists deny'],
  ['KA31', 'Calls that a rule or the agent denies'],
  ['KA32', 'Requests and connections that reach no rule'],
  ['KA33', 'Guests and operators of a realm'],
]);

/** Returns the code that a text names, in any case and with or without the letters. Undefined if there is none. */
export function findCode(text: string): Code | undefined {
  const code = `KA${text.trim().toUpperCase().replace(/^KA/, '')}`;
  return Object.hasOwn(codes, code) ? (code as Code) : undefined;
}
