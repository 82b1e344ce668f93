import { expected, type Reading, read, type ValueType } from './value-type.js';

const what = 'a time in quotes, in UTC and whole seconds, such as "2026-11-26T00:00:00Z", from 1970 to 2231';

/** Linux cannot be set to 2232-04-18 or later: TIME_SETTOD_SEC_MAX, linux/time64.h. */
const end = Date.UTC(2232, 0);

/** A time as in RFC 3339, in UTC; milliseconds since 1970. */
export const utcTime: ValueType<number> = {
  name: 'time in UTC (RFC 3339)',
  schema: { type: 'string', pattern: '^\\d{4}-\\d{2}-\\d{2}T\\d{2}:\\d{2}:\\d{2}Z$' },
  fromToml: (value) => (value.kind === 'string' ? utcTime.fromText(value.value) : expected(what)),
  fromText(text): Reading<number> {
    const time = Date.parse(text);
    // Date.parse accepts other forms, and dates that do not exist.
    const exact = !Number.isNaN(time) && writeUtcTime(time) === text;
    return exact && time >= 0 && time < end ? read(time) : expected(what);
  },
  write: (time) => `"${writeUtcTime(time)}"`,
};

function writeUtcTime(time: number): string {
  return new Date(time).toISOString().replace('.000Z', 'Z');
}
