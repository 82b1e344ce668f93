import type { Ask } from './ask.js';
import { type PlanOptions, planConfiguration } from './plan-configuration.js';
import { renderPlan } from './render-plan.js';

/** What stands at the head, and what the text is pinned to. */
export interface WriteOptions extends PlanOptions {
  /** Lines of the comment at the head. */
  readonly title?: readonly string[];
}

/** The least configuration that serves all asks, as TOML: the lists, the rules, each line with its reason. */
export function writeConfiguration(asks: readonly Ask[], options: WriteOptions = {}): string {
  return renderPlan(planConfiguration(asks, options), options.title ?? ['The least that was asked for.']);
}
