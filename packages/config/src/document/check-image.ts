import type { Report } from '../diagnostics/report.js';
import type { GivenSection } from '../settings/read-section.js';
import { agentSettings } from '../settings/agent-settings-table.js';
import { imageSettings } from '../settings/image-settings.js';

/** The levels of guest components that include the data hub. */
const withDataHub: readonly unknown[] = ['confidential-data-hub', 'api-server-rest'];

/** Reports a puller that would not be there. */
export function checkImage(
  { image, agent }: { readonly image: GivenSection; readonly agent: GivenSection },
  report: Report,
): void {
  const puller = image.get(imageSettings.puller.key);
  const { key, default: unset } = agentSettings.guestComponentsProcs;
  const level = agent.get(key)?.value ?? unset;
  if (puller?.value !== 'cdh' || withDataHub.includes(level)) return;
  report.error(
    'KA1110',
    puller.span,
    `puller = "cdh" with ${key} = ${JSON.stringify(level)}: the confidential data hub would not be started`,
    `write ${key} = "confidential-data-hub" in [agent]`,
  );
}
