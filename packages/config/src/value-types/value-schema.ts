/** What a value looks like, in the words of JSON Schema (draft 7): the part of it that settings need. */
export type ValueSchema =
  | { readonly type: 'boolean' }
  | { readonly type: 'integer'; readonly minimum: number; readonly maximum?: number }
  | { readonly type: 'string'; readonly pattern?: string; readonly minLength?: number }
  | { readonly enum: readonly string[] }
  | { readonly type: 'array'; readonly items: ValueSchema; readonly uniqueItems?: true }
  | { readonly anyOf: readonly ValueSchema[] };

/** For patterns: any character that is no control character, and none of `but`. */
export function printable(but = ''): string {
  return `[^${but}\\u0000-\\u001f\\u007f-\\u009f]`;
}
