/** The description of one method of the management service, for operators and auditors. */
export interface ManagementEndpoint {
  /** What the method does. */
  readonly purpose: string;
  /** What a caller learns or gains by it. */
  readonly exposure: string;
}

/**
 * The methods of `kata_agent.Management` in the order of `management.proto`. A listener serves those that its `management`
 * names; no group and no `*` includes one. A test compares the list with the service's descriptor.
 */
export const managementMethods = [
  'Describe',
  'ListContainers',
  'WatchAudit',
  'RevokePeer',
  'GetCheckpoint',
  'Attest',
] as const;

/** The exact name of a method of `kata_agent.Management`. */
export type ManagementMethod = (typeof managementMethods)[number];

export const managementEndpoints: { readonly [M in ManagementMethod]: ManagementEndpoint } = {
  Describe: {
    purpose:
      "Returns the agent's version, its configuration's digest and documents, what the caller's listener serves, and how many containers exist.",
    exposure:
      'The configuration as a digest, and the names and lists of the listener; of all listeners if it may also call WatchAudit.',
  },
  ListContainers: {
    purpose: 'Lists the containers with their names, and their processes with states and exit codes.',
    exposure:
      'IDs of containers and execs, names of containers, and when each process has ended; no arguments, environment or output.',
  },
  WatchAudit: {
    purpose:
      'Streams the records of the audit log, from a sequence number or from now on, each as it is written.',
    exposure:
      'Every decision of the agent on every listener: methods, container IDs, program names and peers. No arguments, environment, input or output.',
  },
  RevokePeer: {
    purpose:
      'Revokes the certificates of a peer of the tls:// and https:// listeners until the next boot, and closes its connections. Nothing takes it back.',
    exposure: 'Locks tenants out of the guest; the host can do the same by not forwarding packets.',
  },
  GetCheckpoint: {
    purpose:
      'Returns a signed checkpoint of the audit log: the number of its records, and the root of their tree; the newest that witnesses have cosigned; and if asked, a proof that it continues an older one.',
    exposure: 'How many records there are, and the key of the log; nothing of their content.',
  },
  Attest: {
    purpose:
      'Returns evidence: the digests of the configuration, the keys of the agent and a checkpoint of the audit log, bound to the nonce of the caller and to its connection, and signed by the hardware or a TPM. One call at a time.',
    exposure:
      'The names and digests of the documents, the registers and logs of the boot, and keys by which the machine can be recognized.',
  },
};

/** Reports whether `text` is exactly the name of a method of the management service. */
export function isManagementMethod(text: string): text is ManagementMethod {
  return Object.hasOwn(managementEndpoints, text);
}
