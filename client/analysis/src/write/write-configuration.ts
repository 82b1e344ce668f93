import type { Ask } from './ask.js';
import { type PlanOptions, planConfiguration } from './plan-configuration.js';
import { renderPlan } from './render-plan.js';

/** The head comment, and the release. */
export interface WriteOptions extends PlanOptions {
  /** Lines of the comment at the head. */
  readonly title?: readonly string[];
}

/**
 * Returns the smallest configuration that allows all asks, as TOML: the lists, the rules, each line with its origins.
 */
export function writeConfiguration(asks: readonly Ask[], options: WriteOptions = {}): string {
  return renderPlan(
    planConfiguration(asks, options),
    options.title ?? ['Smallest configuration for the given calls.'],
  );
}
