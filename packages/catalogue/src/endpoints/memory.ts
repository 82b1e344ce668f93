import type { EndpointRows } from '../endpoint.js';

/** Processors, memory and swap of the guest. */
export const memoryRows: EndpointRows<
  'OnlineCPUMem' | 'MemHotplugByProbe' | 'AddSwap' | 'AddSwapPath' | 'MemAgentMemcgSet' | 'MemAgentCompactSet'
> = {
  OnlineCPUMem: {
    purpose: 'Brings processors and memory that the hypervisor has added into use.',
    exposure:
      'Puts hardware of the host to use, which the host must have added before. Nothing is disclosed.',
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
    purpose: "Tells the guest's kernel of added memory, by address, through its probe file.",
    exposure: 'The caller hands physical addresses to the kernel; wrong ones can end it.',
    without: 'Memory cannot be added where the machine gives no notice of it by itself (arm64 without ACPI).',
    release: '2.0.0',
    changes: true,
    clients: { go: 'after memory is added, if GetGuestDetails told of the probe file', rs: 'never' },
  },
  AddSwap: {
    purpose: 'Waits for a block device at a PCI path and swaps to it.',
    exposure:
      "Memory of the guest goes to a device that the host holds. In a confidential guest that gives away the workload's " +
      'memory in clear.',
    without: 'Guests have no swap, which is off unless enable_guest_swap is set.',
    release: '2.2.0',
    changes: true,
    clients: { go: 'when containers have swap and guest swap is on', rs: 'when guest swap is on' },
  },
  AddSwapPath: {
    purpose: 'Swaps to a device named by its path in the guest.',
    exposure: 'As AddSwap; and since the caller names the path, also to a device that holds something else.',
    without: 'Guests whose disks have no PCI path have no swap.',
    release: '3.15.0',
    changes: true,
    clients: { go: 'never', rs: 'instead of AddSwap, where the device has no PCI path' },
  },
  MemAgentMemcgSet: {
    purpose: "Changes how the agent's memory agent reclaims and swaps memory of cgroups.",
    exposure:
      'Drives memory of the workload out to swap or out of caches: slow, and with swap on, out to the host.',
    without: 'Its settings cannot be changed after start. The memory agent is off by default.',
    release: '3.13.0',
    changes: true,
    clients: { go: 'never', rs: 'never; only tools such as kata-agent-ctl' },
  },
  MemAgentCompactSet: {
    purpose: "Changes when and how hard the agent's memory agent compacts free memory.",
    exposure: 'Costs the guest processor time. Nothing is disclosed.',
    without: 'Its settings cannot be changed after start. The memory agent is off by default.',
    release: '3.13.0',
    changes: true,
    clients: { go: 'never', rs: 'never; only tools such as kata-agent-ctl' },
  },
};
