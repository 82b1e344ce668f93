/** JSON as a record has it: nothing that a terminal could act upon. Outside of strings JSON is ASCII anyhow. */
export function printableJson(json: string): string {
  // JSON has escaped the other controls. This is quicker than to let the expression find nothing.
  if (Buffer.byteLength(json) === json.length && !json.includes('\u007f')) return json;
  return json.replace(/[^ -~]/g, (unit) => `\\u${unit.charCodeAt(0).toString(16).padStart(4, '0')}`);
}

/** Bytes that a text takes in a record, with its escapes, without its quotes: up to six for each UTF-16 unit. */
export function writtenBytes(text: string): number {
  return printableJson(JSON.stringify(text)).length - 2;
}
