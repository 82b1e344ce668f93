import { isRecord, type JsonRecord } from '@kata-agent/base';

/** Returns the members of a JSON object; undefined for any other value. */
export function fieldsOf(value: unknown): JsonRecord | undefined {
  return isRecord(value) ? value : undefined;
}

/** Returns a text of this form; undefined for any other value. */
export function textOf(value: unknown, form: RegExp): string | undefined {
  return typeof value === 'string' && form.test(value) ? value : undefined;
}

/** Returns a whole number from 0 on; undefined for any other value. */
export function countOf(value: unknown): number | undefined {
  return typeof value === 'number' && Number.isSafeInteger(value) && value >= 0 ? value : undefined;
}

type Form =
  | 'guestId'
  | 'replica'
  | 'pipe'
  | 'guestName'
  | 'entry'
  | 'operatorHash'
  | 'digest'
  | 'described'
  | 'code'
  | 'message'
  | 'time';

/** Forms of what replicas say to each other. */
export const forms: Readonly<Record<Form, RegExp>> = {
  guestId: /^[0-9a-f]{64}$/,
  replica: /^[0-9a-f]{32}$/,
  pipe: /^[0-9a-f]{64}$/,
  /** Of a guest: that of its entry, or with 12 digits of its ID. */
  guestName: /^[A-Za-z0-9][A-Za-z0-9_.-]{0,76}$/,
  entry: /^[A-Za-z0-9][A-Za-z0-9_.-]{0,63}$/,
  operatorHash: /^[0-9a-f]{64}$/,
  digest: /^sha256:[0-9a-f]{64}$/,
  /** What a guest says of itself, as it was accepted in Describe. */
  described: /^[\x20-\x7e]{0,128}$/,
  code: /^[a-z_]{1,64}$/,
  message: /^[\x20-\x7e]{1,1024}$/,
  time: /^[\x20-\x7e]{1,64}$/,
};
