import { existsSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { root } from '@kata-agent/setup/bootstrap';
import type { TestReport } from './reporter.js';

/** The path of the report in a checkout. Each test run overwrites it. */
export function reportFileIn(checkout: string): string {
  return join(checkout, 'build', 'test-report.json');
}

/** The path of this checkout's report. */
export const reportFile: string = reportFileIn(root);

/**
 * Reads a report. Returns undefined if there is none: node:test creates an empty file and fills it at the end
 * of the run.
 */
export function readReport(path: string): TestReport | undefined {
  if (!existsSync(path)) return undefined;
  const text = readFileSync(path, 'utf8');
  return text === '' ? undefined : JSON.parse(text);
}
