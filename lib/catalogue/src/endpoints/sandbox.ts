import type { EndpointRows } from '../endpoint.js';

/** The sandbox and the guest it runs in. */
export const sandboxRows: EndpointRows<
  | 'CreateSandbox'
  | 'DestroySandbox'
  | 'GetGuestDetails'
  | 'GetOOMEvent'
  | 'ReseedRandomDev'
  | 'SetGuestDateTime'
  | 'SetPolicy'
> = {
  CreateSandbox: {
    purpose:
      'Prepares the guest for one pod: hostname, name servers, shared namespaces, sandbox storages such as the ' +
      'shared filesystem and /dev/shm, and kernel modules.',
    exposure:
      'The caller chooses what is mounted in the guest before any container exists, which kernel modules are loaded ' +
      'with which parameters, the name servers, and a directory of hooks to be run.',
    without: 'No pod starts: it is fatal in both runtimes.',
    release: '2.0.0',
    changes: true,
    clients: { go: 'once, after the network is set up', rs: 'once, after the network is set up' },
  },
  DestroySandbox: {
    purpose: 'Removes all containers, unmounts what the sandbox mounted, and ends the agent.',
    exposure: 'Ends the pod. The host can do that anyway by stopping the virtual machine.',
    without:
      'The Go runtime logs an error and stops the virtual machine; the guest is not shut down cleanly.',
    release: '2.0.0',
    changes: true,
    ends: true,
    clients: {
      go: 'once, last, after the last container is removed',
      rs: 'never: it stops the virtual machine',
    },
  },
  GetGuestDetails: {
    purpose:
      "Returns the agent's version, its storage handlers and features, whether it applies seccomp, and how memory can " +
      'be added.',
    exposure: 'Discloses which agent runs, and so its known vulnerabilities. Nothing about the workload.',
    without: 'No pod starts: both runtimes call it right after CreateSandbox, and an error is fatal.',
    release: '2.0.0',
    changes: false,
    clients: { go: 'once, after CreateSandbox', rs: 'once, after CreateSandbox' },
  },
  GetOOMEvent: {
    purpose: "Waits for an OOM kill in a container and returns the container's id.",
    exposure:
      'Discloses when a container runs out of memory. An event read by one caller is lost to the runtime.',
    without:
      'OOMKilled is not reported to Kubernetes. runtime-rs retries at once after an error, forever, which is why ' +
      'a denied call is answered after a second.',
    release: '2.0.0',
    changes: false,
    fold: 'poll',
    clients: {
      go: 'one call always pending, from the first start on; retried a second after an error',
      rs: 'one call always pending, from GetGuestDetails on; retried at once after an error',
    },
  },
  ReseedRandomDev: {
    purpose: "Writes the caller's bytes into the kernel's random pool and makes the generator reseed.",
    exposure:
      "The caller contributes to the guest's randomness. The bytes are mixed in and replace nothing, but a guest that does not " +
      'trust its host has no use for them.',
    without:
      'Virtual machines cloned from one template start with the same random state. Others are not affected.',
    release: '2.0.0',
    changes: true,
    fold: 'repeat',
    clients: { go: 'once, after a machine is taken from a template or cache', rs: 'never' },
  },
  SetGuestDateTime: {
    purpose:
      "Sets the guest's clock to a given second and microsecond. With a configuration it sets it neither back nor below clock_floor.",
    exposure:
      'Turning the clock forward ends valid certificates and tokens. Without a configuration, turning it back makes expired ones valid again.',
    without:
      'A guest taken from a template keeps the time of the template until something else sets its clock.',
    release: '2.0.0',
    changes: true,
    clients: { go: 'once, after a machine is taken from a template or cache', rs: 'never' },
  },
  SetPolicy: {
    purpose:
      'Narrows what is served from then on: a TOML fragment with [api] lists, or a Rego text that is a plain list of ' +
      'defaults. It never widens.',
    exposure: 'The caller can remove endpoints, and so break the pod; it cannot add one.',
    without: 'A pod with a policy annotation does not start. One without is not affected.',
    release: '3.3.0',
    changes: true,
    clients: {
      go: 'once, before the network, if the pod has a policy; later when an operator sets one',
      rs: 'once, before CreateSandbox, if the pod has a policy; later when an operator sets one',
    },
  },
};
