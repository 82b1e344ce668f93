import { lstatSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { unclaimedWithForward } from '@kata-agent/catalogue';
import { PrivilegeGate } from '@kata-agent/gate';
import { hasCode } from '@kata-agent/linux';
import type { Backend, BackendSettings, BackendDependencies, PreparedBackend } from '../backend/backend.js';
import type { Caller } from '../caller.js';
import { CannotApply } from '../cannot-apply.js';
import { aroundForwarded, ByteBudget, Changing, forwardedServices } from './forwarded-calls.js';
import { type FormContext, ForwardedSandbox, type GuestNodes } from './forms/forwarded-sandbox.js';
import { InnerAgent, InnerLinks } from './inner-agent.js';
import { InnerWatch } from './inner-watch.js';

/** Bytes of requests in flight, in all connections: 16 of the largest frames. */
const maxBytesInFlight = 64 * 2 ** 20;

/** How long changes in flight may take when the agent ends. */
const graceMs = 1_500;

/** Nothing is known of the containers of the inner agent: rules that would use this do not load. */
const nothingKnown: Backend['status'] = {
  containerStatus: () => undefined,
  sandboxStatus: { id: '', containers: [], members: [] },
  noteReader: () => undefined,
};

/**
 * Prepares forward mode (docs/forward-mode.md): an inner agent carries out what this one has authorized and recorded.
 *
 * @throws CannotApply as PID 1, where nothing would start the inner agent.
 */
export function prepareForward(
  address: string,
  { configuration, log, syscalls, isFirstProcess }: BackendSettings,
): PreparedBackend {
  if (isFirstProcess)
    throw new CannotApply(`forward = "${address}": as PID 1 this agent starts no other program`, {
      help: 'use an image with systemd, which starts both agents (docs/forward-mode.md)',
    });
  const unclaimed = unclaimedWithForward.map(({ id }) => id);
  const agent = new InnerAgent(address.slice('unix://'.length), syscalls);
  log('warn', 'forward mode: another agent does the work, and guarantees that depend on it are not claimed', {
    socket: agent.path,
    unclaimed: unclaimed.join(' '),
  });
  const { access, refuses } = new PrivilegeGate(configuration);
  const forms = { sandbox: new ForwardedSandbox(), access, isRefusing: refuses, nodes: guestNodes() };
  return {
    facts: { forward: { address, unclaimed } },
    open: async (surroundings) => {
      const { records, check } = surroundings;
      const watch = await InnerWatch.start({ agent, log, records, check });
      return backendOf(agent, watch, forms, surroundings);
    },
  };
}

function backendOf(
  agent: InnerAgent,
  watch: InnerWatch,
  forms: FormContext,
  { policy, savedPolicies, end }: BackendDependencies,
): Backend {
  const links = new InnerLinks<Caller>(agent);
  const changing = new Changing();
  const forwarding = { links, budget: new ByteBudget(maxBytesInFlight), policy, savedPolicies, forms, end };
  return {
    status: nothingKnown,
    containers: () => undefined,
    present: () => undefined,
    around: aroundForwarded(forwarding, changing),
    services: (authorize) => forwardedServices(forwarding, authorize),
    listening: () => undefined,
    left: (caller) => links.left(caller),
    parts: [
      { name: 'watch of the inner agent', end: async () => watch.stop() },
      {
        name: 'connections to the inner agent',
        end: async () => {
          await Promise.race([changing.none(), delay(graceMs, undefined, { ref: false })]);
          links.close();
        },
      },
    ],
  };
}

/** Reads /dev and /sys on every call: devices can be plugged and unplugged. Both are the kernel's, and never wait for the host. */
export function guestNodes(dev = '/dev', sys = '/sys'): GuestNodes {
  return {
    numberOf(path) {
      const node = join(dev, path.replace(/^\/dev\//, ''));
      const stat = lstatSync(node, { bigint: true, throwIfNoEntry: false });
      return stat?.isCharacterDevice() === true ? numberOf(stat.rdev) : undefined;
    },
    nameOf(number) {
      try {
        const uevent = readFileSync(join(sys, 'dev/char', number, 'uevent'), 'utf8');
        return /^DEVNAME=(.+)$/m.exec(uevent)?.[1];
      } catch (error) {
        if (hasCode(error, 'ENOENT', 'ENODEV')) return undefined;
        throw error;
      }
    },
  };
}

/** Decodes a device number as glibc encodes it (gnu_dev_major, gnu_dev_minor). */
function numberOf(device: bigint): string {
  const major = ((device >> 8n) & 0xfffn) | ((device >> 32n) & 0xfffff000n);
  const minor = (device & 0xffn) | ((device >> 12n) & 0xffffff00n);
  return `${major}:${minor}`;
}
