import type { Configuration } from '@kata-agent/config';
import { privilegedContainers } from '@kata-agent/gate';
import type { Style } from '@kata-agent/cli';

/** Returns a warning if privileged containers are allowed, else an empty string. */
export function privilegedNote(configuration: Configuration, style: Style): string {
  if (privilegedContainers(configuration) === 'refuse') return '';
  return (
    `${style.bold('PRIVILEGED CONTAINERS ARE ALLOWED')}: such a container has root access to the guest; rules do not confine it.\n` +
    '  Without privileged_containers = "allow" the agent denies them, and names the reasons.\n'
  );
}
