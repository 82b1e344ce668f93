import type { Outcome } from './part.js';
import { renderRows } from './render.js';
import { meets, ratio } from './row.js';

/** Writes the result of each part as soon as it ends. */
export interface Report {
  add(outcome: Outcome): void;
  /** Completes the document; nothing is added afterwards. */
  end(): void;
}

/** Writes a table for each part. */
export function textReport(write: (text: string) => void): Report {
  return {
    add: (outcome) => {
      if ('rows' in outcome) return write(`${renderRows(outcome.part, outcome.rows)}\n\n`);
      write(`${outcome.part}: failed: ${outcome.error.replaceAll('\n', '\n  ')}\n\n`);
    },
    end: () => undefined,
  };
}

/**
 * Writes one JSON array, one line per element: a row with the name of its `part`, or `{ part, error }`. It is written
 * as parts end and is valid after `end`; if it is interrupted, every line except the first is an element.
 */
export function jsonReport(write: (text: string) => void): Report {
  let separator = '[\n';
  const element = (value: object): void => {
    write(`${separator}${JSON.stringify(value)}`);
    separator = ',\n';
  };
  return {
    add: (outcome) => {
      if ('error' in outcome) element(outcome);
      else {
        for (const row of outcome.rows)
          element({ part: outcome.part, ...row, ratio: ratio(row), met: meets(row) });
      }
    },
    end: () => write(separator === ',\n' ? '\n]\n' : '[]\n'),
  };
}
