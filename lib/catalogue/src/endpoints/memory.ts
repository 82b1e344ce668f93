import type { EndpointRows } from '../endpoint.js';

/** CPUs, memory and swap of the guest. */
export const memoryRows: EndpointRows<
  'OnlineCPUMem' | 'MemHotplugByProbe' | 'AddSwap' | 'AddSwapPath' | 'MemAgentMemcgSet' | 'MemAgentCompactSet'
> = {
  OnlineCPUMem: {
    purpose: 'Brings hot-added CPUs and memory online.',
    exposure: 'Uses hardware that the host must have added before. Nothing is disclosed.',
    without:
      'Containers are not created where the runtime sizes the machine by their limits, which is the default of both.',
    release: '2.0.0',
    changes: true,
    fold: 'repeat',
    clients: {
      go: 'after CreateContainer and at each update, unless the machine has a fixed size',
      rs: 'at each change of resources, unless the machine has a fixed size',
    },
  },
  MemHotplugByProbe: {
    purpose: "Announces added memory to the guest's kernel, by address, through its probe file.",
    exposure: 'The caller passes physical addresses to the kernel; wrong ones can crash it.',
    without: 'Memory cannot be added to machines that do not announce it themselves (arm64 without ACPI).',
    release: '2.0.0',
    changes: true,
    clients: { go: 'after memory is added, if GetGuestDetails told of the probe file', rs: 'never' },
  },
  AddSwap: {
    purpose: 'Waits for a block device at a PCI path and swaps to it.',
    exposure:
      "Memory of the guest is written to a device of the host. In a confidential guest this exposes the workload's " +
      'memory in clear.',
    without: 'Guests have no swap, which is off unless enable_guest_swap is set.',
    release: '2.2.0',
    changes: true,
    clients: { go: 'when containers have swap and guest swap is on', rs: 'when guest swap is on' },
  },
  AddSwapPath: {
    purpose: 'Swaps to a device named by its path in the guest.',
    exposure: 'As AddSwap; and since the caller names the path, it can overwrite another device.',
    without: 'Guests whose disks have no PCI path have no swap.',
    release: '3.15.0',
    changes: true,
    clients: { go: 'never', rs: 'instead of AddSwap, where the device has no PCI path' },
  },
  MemAgentMemcgSet: {
    purpose: "Changes how the agent's memory agent reclaims and swaps memory of cgroups.",
    exposure:
      'Moves memory of the workload to swap or out of caches: this is slow, and with swap exposes it to the host.',
    without: 'Its settings cannot be changed after start. The memory agent is off by default.',
    release: '3.13.0',
    changes: true,
    clients: { go: 'never', rs: 'never; only tools such as kata-agent-ctl' },
  },
  MemAgentCompactSet: {
    purpose: "Changes when and how aggressively the agent's memory agent compacts free memory.",
    exposure: 'Costs CPU time of the guest. Nothing is disclosed.',
    without: 'Its settings cannot be changed after start. The memory agent is off by default.',
    release: '3.13.0',
    changes: true,
    clients: { go: 'never', rs: 'never; only tools such as kata-agent-ctl' },
  },
};
