import type { AgentSettings } from '@kata-agent/config';
import { existsSync } from 'node:fs';
import { join } from 'node:path';
import type { Log } from './log.js';

/** The guest components in the order in which Kata's agent starts them; each level includes those before it. */
const components = ['attestation-agent', 'confidential-data-hub', 'api-server-rest'] as const;

/** Paths in Kata's images. */
const programDirectory = '/usr/local/bin';

/** The manifest of a guest extension image, which replaces these programs. */
const manifest = '/run/kata-extensions/coco/etc/kata-extensions/components.toml';

/**
 * Returns the guest components that `guest_components_procs` requests and that the image has. They are not started: that
 * is not built yet. In an image without them there is nothing to start, and with `none` nothing is requested.
 *
 * @param root the guest's root directory; a test uses another.
 */
export function unstartedComponents(
  requested: AgentSettings['guestComponentsProcs'],
  root: string = '/',
): readonly string[] {
  if (requested === 'none') return [];
  const programs = components
    .slice(0, components.indexOf(requested) + 1)
    .map((name) => `${programDirectory}/${name}`);
  return [...programs, manifest].filter((path) => existsSync(join(root, path)));
}

/** Warns of guest components that are not started. */
export function warnOfComponents(unstarted: readonly string[], log: Log): void {
  if (unstarted.length === 0) return;
  log(
    'warn',
    'guest components are in the image and are NOT started: this is not built yet\nhelp: guest_components_procs = "none" says that none are needed',
    { programs: unstarted.join(', ') },
  );
}
