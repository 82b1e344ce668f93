import type { Configuration } from '@kata-agent/config';
import { existsSync } from 'node:fs';
import type { Log } from '../startup/log.js';
import type { Component } from './component.js';
import { readExtension } from './extension.js';
import { planOf } from './plan.js';
import { RunningComponent } from './running-component.js';

/** The components of a confidential guest that this agent has started: attestation agent, data hub, REST server. */
export interface GuestComponents {
  /** In the order in which they were started. */
  readonly started: readonly string[];
  /** The programs that were requested and are missing; then none is started. */
  readonly missing: readonly string[];
  /** Where the image with the components has its pause container; undefined: the guest's image has it. */
  readonly pauseBundle: string | undefined;
  /** Why a component cannot be used; undefined: it runs. */
  unavailable(id: string): string | undefined;
  stop(): Promise<void>;
}

/**
 * Starts the guest components that a configuration requests, one after the other, as Kata's agent does
 * (docs/coco-facts.md, "Launching"). If a program is missing none is started: the image was not made for them.
 *
 * @throws CannotApply if one does not become ready in time; those before it are stopped.
 */
export async function startGuestComponents(
  { settings, initdata, initdataTexts, values }: Configuration,
  log: Log,
): Promise<GuestComponents> {
  const manifest = settings.guestComponentsProcs === 'none' ? undefined : readExtension();
  const plan = planOf(settings, {
    manifest,
    initdata: initdata !== undefined && initdataTexts.has('initdata.toml'),
    // PID 1 has words of the host's kernel command line in its environment (S23).
    attesterVariant: process.pid === 1 ? undefined : process.env['KATA_ATTESTER_VARIANT'],
  });
  const missing = plan.filter(({ path }) => !existsSync(path)).map(({ path }) => path);
  if (missing.length > 0) {
    const row = values.find(({ key }) => key === 'guest_components_procs');
    warnOfMissing(missing, row?.source === 'default' && missing.length === plan.length, log);
  }
  const running = missing.length > 0 ? [] : await startAll(plan, log);
  return {
    started: running.map(({ id }) => id),
    missing,
    pauseBundle: manifest?.paths.get('pause-bundle'),
    unavailable: (id) => {
      const component = running.find((each) => each.id === id);
      if (component === undefined) return `${id} is not started: ${reasonOf(id, missing)}`;
      return component.end === undefined ? undefined : `${id} has ended: ${component.end}`;
    },
    stop: async () => {
      for (const component of running.toReversed()) await component.stop();
    },
  };
}

async function startAll(plan: readonly Component[], log: Log): Promise<readonly RunningComponent[]> {
  const running: RunningComponent[] = [];
  try {
    for (const component of plan) running.push(await RunningComponent.start(component, log));
    return running;
  } catch (error) {
    for (const component of running.toReversed()) await component.stop();
    throw error;
  }
}

function warnOfMissing(missing: readonly string[], isDefault: boolean, log: Log): void {
  if (isDefault) {
    log('info', 'this image has no guest components');
    return;
  }
  log(
    'warn',
    'guest components are requested, and NONE is started: a program is missing\nhelp: add it to the image, or set guest_components_procs to fewer, or "none"',
    { missing: missing.join(', ') },
  );
}

function reasonOf(id: string, missing: readonly string[]): string {
  return missing.length > 0
    ? `${missing.join(', ')} is missing in the image`
    : `guest_components_procs does not include ${id}`;
}
