/** The schema of a value: the subset of JSON Schema (draft 7) that settings need. */
export type ValueSchema =
  | { readonly type: 'boolean' }
  | { readonly type: 'integer'; readonly minimum: number; readonly maximum?: number }
  | { readonly type: 'string'; readonly pattern?: string; readonly minLength?: number }
  | { readonly enum: readonly string[] }
  | { readonly type: 'array'; readonly items: ValueSchema; readonly uniqueItems?: true }
  | { readonly anyOf: readonly ValueSchema[] }
  | { readonly type: 'object'; readonly additionalProperties: ValueSchema }
  | {
      readonly type: 'object';
      readonly additionalProperties: false;
      readonly minProperties: number;
      readonly properties: Readonly<Record<string, ValueSchema>>;
    };

/** Returns a pattern for one character that is neither a control character nor in `but`. */
export function printable(but = ''): string {
  return `[^${but}\\u0000-\\u001f\\u007f-\\u009f]`;
}
