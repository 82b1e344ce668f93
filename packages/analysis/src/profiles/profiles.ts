import { newestPin } from './newest-pin.js';

/** A configuration to start from. */
export interface Profile {
  readonly name: ProfileName;
  /** Whom it is for, in a phrase. */
  readonly summary: string;
  /** The whole document, with its reasons as comments. `examples/NAME.toml` is made from it. */
  readonly text: string;
}

export type ProfileName = 'minimal' | 'confidential' | 'observe' | 'open';

const minimal = `# The least that a working pod needs: network, sandbox, containers, their end.
#
# What a pod's user notices: \`kubectl logs\` is empty, \`kubectl exec\`, \`attach\`, \`top\` and exec probes do not work.
# The workload does not: its output is read by the agent and dropped, so that it never waits on a full pipe.

[agent]
server_addr = "vsock://-1:1024"

[api]
release = "${newestPin}"
allowed_endpoints = ["@pod"]

# The runtime reads each process's output before it asks for the exit code. "eof" answers those reads with an end of
# file, so that it goes on quietly; "error" would fill its log.
on_denied_read = "eof"
`;

const confidential = `# For a confidential guest: the host runs the pod, but is not trusted with what is in it.
#
# What keeps this file honest is not the agent: it must be part of a measured root filesystem, and the kernel line
# must be measured or built in, since an unmeasured line can start another program in the agent's place.
# The lists close doors; what comes through those that stay open (CreateContainer with any command, CopyFile with any
# content) is still the host's choice. Rules narrow that to one workload, and can be made from it:
#   kata-agent-ctl config generate --pod POD.yaml
# Take secrets from attestation, never from the host.

[agent]
server_addr = "vsock://-1:1024"
debug_console = false
# Nothing on the kernel line, in the environment or on the command line changes a value of this section.
# Kata's runtimes always send some; each is ignored, with a warning, and recorded.
lock = true

[api]
release = "${newestPin}"

# Senseless lists (pause without resume, create without remove) are errors, not warnings.
strict = true

# @pod   to live
# @copy  confidential guests have no shared filesystem: resolv.conf, configmaps and projected volumes come this way.
#        Leave it out if your pods have none of them.
# A pod with a policy annotation needs "@policy" too. That is harmless to secrecy: a policy can only narrow.
allowed_endpoints = ["@pod", "@copy"]

# Each of these is closed already, since the list above does not name it. They stand here so that adding "*" or another
# group to that list one day does not open them unnoticed:
# @exec          any command inside a container, with its files and memory
# @stdio         the workload's output, and its input
# @diagnostics   termination messages
# @stats         counters fine enough to tell what the workload is doing
# @swap          the guest's memory, written to a disk of the host
# @template      the guest's randomness and clock, set by the host
# @iptables      the guest's packet filter
blocked_endpoints = ["@exec", "@stdio", "@diagnostics", "@stats", "@swap", "@template", "@iptables"]

on_denied_read = "eof"

# The last of each stream stays in the guest instead of being dropped.
denied_output = "64KiB"

# Where a TPM or a TDX guest can bear witness of this file, let the agent extend its digest before it listens, and not
# start when it cannot. kata-agent-ctl config digest prints what a verifier has to expect.
# [measurement]
# tpm = "require"
# rtmr = "require"

# To hand each pod rules of its own without another image: one more document, bound by the launch measurement, which
# can only narrow this one.
# [delivery]
# accept = ["initdata"]
# bind = "host_data"

[audit]
# No record, no service: also calls that change nothing are refused while the record cannot be written.
on_failure = "refuse-all"
`;

const observe = `# For looking on: output, counters and settings of the guest can be read, nothing can be changed.
#
# With this file an agent serves no pod, since none can be created. It is meant for the inspection of a guest that is
# already there.
# Each byte of output goes to one reader only: what an observer reads with @logs is missing from \`kubectl logs\`.

[agent]
server_addr = "vsock://-1:1024"

[api]
release = "${newestPin}"
allowed_endpoints = [
  "@logs",            # what processes print
  "@stats",           # counters of containers and of the guest
  "@network",         # interfaces and routes
  "@diagnostics",     # termination messages
  "GetGuestDetails",  # version and features of the agent
  "GetIPTables",      # the packet filter; the group @iptables could replace it too
  "GetVolumeStats",   # use of volumes; the group @volumes could resize them too
]
`;

const open = `# Everything is served, as without any file, but said on purpose: no warning at the start.
# For development, and for hosts that are trusted as much as the guest.
#
# No \`release\`: methods of later releases are served too, as soon as this agent has them. Add \`release = "${newestPin}"\` to stay
# with those of today.

[agent]
server_addr = "vsock://-1:1024"
# Under a document a privileged container is refused by default. Here it is root of the guest, as without one.
privileged_containers = "allow"

[api]
allowed_endpoints = ["*"]
`;

/** What `config init --profile` offers, the narrowest use first. */
export const profiles: readonly Profile[] = [
  { name: 'minimal', summary: 'the least that a working pod needs', text: minimal },
  {
    name: 'confidential',
    summary: 'a guest whose host is not trusted with what is in it',
    text: confidential,
  },
  {
    name: 'observe',
    summary: 'output, counters and settings can be read, nothing can be changed',
    text: observe,
  },
  { name: 'open', summary: 'everything is served, on purpose', text: open },
];
