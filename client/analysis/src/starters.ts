import { releases } from '@kata-agent/catalogue';

/** The newest known release of Kata, in the form of a configuration: `4.1`. */
export const newestPin: string = (releases.at(-1) ?? '').replace(/\.0$/, '');

/** A configuration to start from. */
export interface Starter {
  readonly name: StarterName;
  /** The intended use, as a phrase. */
  readonly summary: string;
  /** The whole document, with comments. `examples/NAME.toml` is generated from it. */
  readonly text: string;
}

export type StarterName = 'minimal' | 'confidential' | 'observe' | 'open';

const minimal = `# Only what a working pod needs: network, sandbox, containers and their removal.
#
# \`kubectl logs\` is empty; \`kubectl exec\`, \`attach\`, \`top\` and exec probes do not work.
# The agent reads and drops the workload's output, so that the workload never blocks on a full pipe.

[agent]
server_addr = "vsock://-1:1024"

[api]
release = "${newestPin}"
allowed_endpoints = ["@pod"]

# The runtime reads each process's output before it waits for the exit code. "eof" answers these reads with end of
# file; "error" would fill the runtime's log.
on_denied_read = "eof"
`;

const confidential = `# For a confidential guest: the host runs the pod, but is not trusted with its data.
#
# The agent cannot protect this file: it must be part of a measured root filesystem, and the kernel command line
# must be measured or built in, since an unmeasured one can start another program instead of the agent.
# The lists restrict methods, not requests: the host can still call CreateContainer with any command and CopyFile with
# any content. Rules restrict the requests to one workload, and can be generated:
#   kata-agent-ctl config generate --pod POD.yaml
# Get secrets by attestation, never from the host.

[agent]
server_addr = "vsock://-1:1024"
debug_console = false
# The kernel command line, the environment and flags do not change this section.
# Kata's runtimes always set some; each is ignored, with a warning and an audit record.
lock = true

[api]
release = "${newestPin}"

# Inconsistent lists (pause without resume, create without remove) are errors, not warnings.
strict = true

# @pod   to run pods
# @copy  confidential guests have no shared filesystem: resolv.conf, ConfigMaps and projected volumes are copied.
#        Remove it if your pods use none of them.
# A pod with a policy annotation needs "@policy" too, which is safe: a policy can only narrow.
allowed_endpoints = ["@pod", "@copy"]

# None of these is in the list above. They are blocked so that a later "*" or group in
# that list does not allow them:
# @exec          any command inside a container, with its files and memory
# @stdio         the workload's output, and its input
# @diagnostics   termination messages
# @stats         counters that reveal what the workload does
# @swap          the guest's memory, written to a host's disk
# @template      the guest's randomness and clock, set by the host
# @iptables      the guest's iptables rules
blocked_endpoints = [
  "@exec",
  "@stdio",
  "@diagnostics",
  "@stats",
  "@swap",
  "@template",
  "@iptables",
]

on_denied_read = "eof"

# Keep the last bytes of each output stream in the guest.
denied_output = "64KiB"

# With a TPM or in a TDX guest: the agent measures this file before it listens, and does not
# start if that fails. kata-agent-ctl config digest prints the values for a verifier.
# [measurement]
# tpm = "require"
# rtmr = "require"

# To give each pod its own rules with the same image: a further document, bound by the launch measurement, which
# can only narrow this one.
# [delivery]
# accept = ["initdata"]
# bind = "host_data"

[audit]
# While the audit log cannot be written, all calls are denied, also those that change nothing.
on_failure = "refuse-all"
`;

const observe = `# For observation: output, counters and settings of the guest can be read, nothing can be changed.
#
# Pods cannot be created with this configuration. Use it to inspect a guest that is
# already running.
# Reading consumes output: what an observer reads with @logs is missing in \`kubectl logs\`.

[agent]
server_addr = "vsock://-1:1024"

[api]
release = "${newestPin}"
allowed_endpoints = [
  "@logs",           # output of processes
  "@stats",          # counters of containers and of the guest
  "@network",        # interfaces and routes
  "@diagnostics",    # termination messages
  "GetGuestDetails", # version and features of the agent
  "GetIPTables",     # iptables rules; the group @iptables can also replace them
  "GetVolumeStats",  # usage of volumes; the group @volumes can also resize them
]
`;

const open = `# Everything is served, as without any configuration, but without the warning at start.
# For development, and for hosts that are as trusted as the guest.
#
# Without \`release\`, methods of later releases are served once the agent has them. Add \`release = "${newestPin}"\` to keep
# the current ones.

[agent]
server_addr = "vsock://-1:1024"
# With a configuration, privileged containers are denied by default. Here they are allowed: they have root access to the guest.
privileged_containers = "allow"

[api]
allowed_endpoints = ["*"]
`;

/** The documents of `config init --starter`, the narrowest first. */
export const starters: readonly Starter[] = [
  { name: 'minimal', summary: 'only what a working pod needs', text: minimal },
  {
    name: 'confidential',
    summary: 'a confidential guest: its host is not trusted',
    text: confidential,
  },
  {
    name: 'observe',
    summary: 'read-only access to output, counters and settings',
    text: observe,
  },
  { name: 'open', summary: 'everything is served, explicitly', text: open },
];
