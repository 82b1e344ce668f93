import type { Configuration } from '@kata-agent/config';
import { privilegedContainers } from '@kata-agent/gate';
import type { Style } from '../../output/style.js';

/** Said where privileged containers are allowed; empty where the agent refuses them. */
export function privilegedNote(configuration: Configuration, style: Style): string {
  if (privilegedContainers(configuration) === 'refuse') return '';
  return (
    `${style.bold('PRIVILEGED CONTAINERS ARE ALLOWED')}: one is root of the guest by design, whatever rules about it say.\n` +
    '  Without privileged_containers = "allow" the agent refuses them, and names the reasons.\n'
  );
}
