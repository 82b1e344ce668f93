import { type Configuration, explainConfiguration, renderExplanation } from '@kata-agent/config';
import { builtInMethods } from '../build.js';

/** Returns what `--explain` prints. */
export function explanationText(configuration: Configuration, format: 'text' | 'json'): string {
  const explanation = explainConfiguration(configuration, builtInMethods());
  return format === 'json'
    ? JSON.stringify({ ok: true, ...explanation, diagnostics: configuration.warnings })
    : renderExplanation(explanation);
}
