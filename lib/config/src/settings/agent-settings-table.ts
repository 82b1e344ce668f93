import type { AgentSettings, LogLevel } from './agent-settings.js';
import { boolean } from '../value-types/boolean.js';
import {
  guestDevice,
  guestPath,
  kernelModule,
  networkNamespace,
  sysctl,
} from '../value-types/guest-access.js';
import { containerMount } from '../value-types/container-mount.js';
import { guestExtension } from '../value-types/guest-extension.js';
import { port, seconds } from '../value-types/integer.js';
import { hostAliasName, hostAliasAddress } from '../value-types/host-alias.js';
import { listOf } from '../value-types/list-of.js';
import { mapOf } from '../value-types/map-of.js';
import { oneOf } from '../value-types/one-of.js';
import { serverAddress } from '../value-types/server-address.js';
import { size } from '../value-types/size.js';
import { forwardAddress } from '../value-types/forward-address.js';
import { optional, path, textList, url, words } from '../value-types/text.js';
import { utcTime } from '../value-types/utc-time.js';
import { agentSetting } from './agent-setting.js';
import { memoryAgentSettings } from './memory-agent-settings.js';
import type { Setting } from './setting.js';

const logLevel = oneOf<LogLevel>(
  ['trace', 'debug', 'info', 'warn', 'error', 'critical'],
  new Map([
    ['default', 'info'],
    ['warning', 'warn'],
    ['fatal', 'critical'],
    ['panic', 'critical'],
  ]),
);

const innerSetting = 'the inner agent does this: set it there';

/** The rows of `[agent]`. Kata's settings keep their names, kernel words and defaults. */
export const agentSettings: { readonly [P in keyof AgentSettings]: Setting<AgentSettings[P]> } = {
  serverAddr: agentSetting({
    key: 'server_addr',
    type: serverAddress,
    default: 'vsock://-1:1024',
    purpose: 'The address of the API. A CID of -1 means any CID of the guest.',
    example: '"vsock://-1:1024"',
    baseOnly: true,
  }),
  logLevel: agentSetting({
    key: 'log_level',
    type: logLevel,
    default: 'info',
    purpose: 'The level of the agent log. "default" means "info".',
    example: '"debug"',
    kernelWord: 'agent.log',
  }),
  logVport: agentSetting({
    key: 'log_vport',
    type: port,
    default: 0,
    purpose: 'The vsock port of the log stream; 0: none.',
    example: '1025',
    baseOnly: true,
  }),
  debugConsole: agentSetting({
    key: 'debug_console',
    type: boolean,
    default: false,
    purpose: 'Whether the debug console offers a shell in the guest.',
    example: 'true',
    kernelForm: 'word',
    opensGuest: true,
  }),
  debugConsoleVport: agentSetting({
    key: 'debug_console_vport',
    type: port,
    default: 0,
    purpose:
      'The vsock port of the debug console; 0: a terminal of the guest. Does nothing without debug_console.',
    example: '1026',
    opensGuest: true,
  }),
  devMode: agentSetting({
    key: 'dev_mode',
    type: boolean,
    default: false,
    purpose: 'Whether the agent runs in development mode.',
    example: 'true',
    opensGuest: true,
    built: 'unused',
    kernelWord: 'agent.devmode',
    kernelForm: 'word',
  }),
  tracing: agentSetting({
    key: 'tracing',
    type: boolean,
    default: false,
    purpose: 'Whether the agent sends its tracing spans to the host.',
    example: 'true',
    opensGuest: true,
    built: 'kata',
    kernelWord: 'agent.trace',
    kernelForm: 'either',
  }),
  hotplugTimeout: agentSetting({
    key: 'hotplug_timeout',
    type: seconds,
    default: 3,
    purpose: 'The timeout for a hotplugged device, in seconds.',
    example: '10',
    withoutGuest: innerSetting,
  }),
  cdhApiTimeout: agentSetting({
    key: 'cdh_api_timeout',
    type: seconds,
    default: 50,
    purpose: 'The timeout for the confidential data hub, in seconds.',
    example: '50',
    withoutGuest: innerSetting,
  }),
  imagePullTimeout: agentSetting({
    key: 'image_pull_timeout',
    type: seconds,
    default: 1200,
    purpose: 'The timeout for pulling an image in the guest, in seconds.',
    example: '1200',
    withoutGuest: innerSetting,
  }),
  cdiTimeout: agentSetting({
    key: 'cdi_timeout',
    type: seconds,
    default: 100,
    purpose: 'How long a CDI device may take to be defined by a specification of the guest, in seconds.',
    example: '100',
    withoutGuest: innerSetting,
  }),
  launchProcessTimeout: agentSetting({
    key: 'launch_process_timeout',
    type: seconds,
    default: 6,
    purpose: 'The timeout for a guest component to become ready, in seconds.',
    example: '6',
    withoutGuest: innerSetting,
  }),
  visibleCdiDevices: agentSetting({
    key: 'visible_cdi_devices',
    type: boolean,
    default: false,
    purpose:
      'Whether the variable VISIBLE_CDI_DEVICES of a container requests CDI devices, as annotations do.',
    example: 'true',
    withoutGuest: innerSetting,
  }),
  passfdListenerPort: agentSetting({
    key: 'passfd_listener_port',
    type: port,
    default: 0,
    purpose: 'The vsock port for stdio outside of the API; 0: none.',
    example: '1027',
    opensGuest: true,
    withoutGuest: 'stdio outside of the API would have to be connected to processes of the inner agent',
  }),
  containerPipeSize: agentSetting({
    key: 'container_pipe_size',
    type: size({ min: 0, max: 2 ** 30 }),
    default: 0,
    purpose: 'The size of the pipes of a process, in bytes; 0: the default of the kernel.',
    example: '2097152',
    withoutGuest: innerSetting,
  }),
  unifiedCgroupHierarchy: agentSetting({
    key: 'unified_cgroup_hierarchy',
    type: boolean,
    default: false,
    purpose: 'Whether the guest uses only cgroup v2.',
    example: 'true',
    kernelWord: 'systemd.unified_cgroup_hierarchy',
    kernelAlias: { word: 'cgroup_no_v1', value: 'all', means: 'true' },
    withoutGuest: innerSetting,
  }),
  ociRuntime: agentSetting({
    key: 'oci_runtime',
    type: optional(path),
    default: undefined,
    purpose: 'The OCI runtime that creates containers, runc or crun. Without it: runc in PATH, else crun.',
    example: '"/usr/sbin/runc"',
    opensGuest: true,
    withoutGuest: 'the inner agent creates containers',
  }),
  hooks: agentSetting({
    key: 'hooks',
    type: oneOf(['refuse', 'cdi', 'allow']),
    default: 'refuse',
    purpose:
      'Which OCI hooks run in the guest: none, those of its CDI specifications, or also those of requests and of guest_hook_path. A request with others is rejected.',
    example: '"cdi"',
    opensGuest: true,
    withoutGuest: 'requests with hooks are not forwarded',
  }),
  privilegedContainers: agentSetting({
    key: 'privileged_containers',
    type: optional(oneOf(['refuse', 'allow'])),
    default: undefined,
    purpose:
      'Whether a request for a privileged container is refused. Without it: "refuse" under a configuration, "allow" without one.',
    example: '"allow"',
    opensGuest: true,
    override: false,
  }),
  devices: agentSetting({
    key: 'devices',
    type: listOf(guestDevice, 'list of devices'),
    default: [],
    purpose: 'Character devices and CDI devices of the guest that containers may have beside the usual ones.',
    example: '["/dev/fuse", "c 10:200", "nvidia.com/gpu=0"]',
    opensGuest: true,
    override: false,
  }),
  guestPaths: agentSetting({
    key: 'guest_paths',
    type: listOf(guestPath, 'list of paths'),
    default: [],
    purpose:
      "Paths of the guest, outside of Kata's directories, that mounts of containers may name; read-only without `rw:`. In forward mode, `rw:/run/kata-containers/shared/containers` trusts the host with the guest's files ([links](../forward-mode.md#links)).",
    example: '["/opt/models"]',
    opensGuest: true,
    override: false,
  }),
  networkNamespaces: agentSetting({
    key: 'network_namespaces',
    type: listOf(networkNamespace, 'list of paths'),
    default: [],
    purpose:
      "Network namespaces of the guest that containers may join, as peer pods do; the guest's own otherwise.",
    example: '["/run/netns/podns"]',
    opensGuest: true,
    override: false,
  }),
  kernelModules: agentSetting({
    key: 'kernel_modules',
    type: listOf(kernelModule, 'list of kernel modules'),
    default: [],
    purpose: 'Kernel modules that CreateSandbox may load, each with exactly these parameters.',
    example: '["nf_conntrack hashsize=65536"]',
    opensGuest: true,
    override: false,
    withoutGuest: 'requests with modules are not forwarded',
  }),
  sysctls: agentSetting({
    key: 'sysctls',
    type: listOf(sysctl, 'list of sysctls'),
    default: [],
    purpose:
      'Sysctls that a container may set in addition to the safe ones of Kubernetes, also those of the whole guest. The request has the value: a rule can pin it.',
    example: '["net.core.somaxconn"]',
    opensGuest: true,
    override: false,
    withoutGuest: 'only sysctls of the container, and safe ones, are forwarded',
  }),
  hostAliases: agentSetting({
    key: 'host_aliases',
    type: mapOf(
      hostAliasName,
      listOf(hostAliasAddress, 'list of addresses'),
      'such as { "db.example" = ["10.1.2.3"] }',
    ),
    default: {},
    purpose:
      'Names, beside those of localhost and of the pod, that a file at /etc/hosts of a container may have, each with its addresses: the `hostAliases` of the pod. `"*"` is any name that is not listed, or any address but those at which the machine itself answers.',
    example: '{ "db.example" = ["10.1.2.3"] }',
    opensGuest: true,
    override: false,
    withoutGuest: innerSetting,
  }),
  nosymfollow: agentSetting({
    key: 'nosymfollow',
    type: listOf(containerMount, 'list of mounts'),
    default: [],
    purpose:
      'Mounts of containers in which no symbolic link is followed, each as the name of the container in the pod, `=` and the mount point: volumes of the host, where it could plant a link to another file of the container.',
    example: '["web=/data"]',
    baseOnly: true,
    override: false,
    withoutGuest: innerSetting,
  }),
  imageVolumes: agentSetting({
    key: 'image_volumes',
    type: listOf(containerMount, 'list of mounts'),
    default: [],
    purpose:
      "Volumes that images declare, each as the name of the container in the pod, `=` and the mount point: the guest fills them from the container's root, and ignores what the host has there.",
    example: '["db=/var/lib/postgresql/data"]',
    baseOnly: true,
    override: false,
    withoutGuest: innerSetting,
  }),
  extensions: agentSetting({
    key: 'extensions',
    type: listOf(guestExtension, 'list of extension images'),
    default: [],
    purpose:
      'Guest extension images that the host may attach, each with the root hash of its content. Under a configuration others stop the start.',
    example: '["devkit=sha256:9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08"]',
    opensGuest: true,
    override: false,
  }),
  harden: agentSetting({
    key: 'harden',
    type: optional(boolean),
    default: undefined,
    purpose:
      "Whether the agent hardens the guest's kernel before it listens (reference/hardening.md). Without it: as PID 1.",
    example: 'true',
    opensGuest: true,
    withoutGuest: 'the guest belongs to the inner agent',
  }),
  clockFloor: agentSetting({
    key: 'clock_floor',
    type: optional(utcTime),
    default: undefined,
    purpose:
      "The earliest time of the guest's clock. Without it: the time of the source from which the image was built.",
    example: '"2026-11-26T00:00:00Z"',
    opensGuest: true,
    override: false,
    withoutGuest: 'the inner agent sets the clock; a rule for SetGuestDateTime can deny earlier times',
  }),
  onEnd: agentSetting({
    key: 'on_end',
    type: optional(oneOf(['power-off', 'exit'])),
    default: undefined,
    purpose: 'What the agent does when the sandbox has ended. Without it: power off as PID 1, else exit.',
    example: '"exit"',
  }),
  forward: agentSetting({
    key: 'forward',
    type: optional(forwardAddress),
    default: undefined,
    purpose:
      "The socket of another agent in this guest, such as Kata's, which does the work: this agent authorizes and records each call, and forwards it ([forward mode](../forward-mode.md)).",
    example: '"unix:///run/kata-agent-inner/agent.sock"',
    opensGuest: true,
  }),
  httpsProxy: agentSetting({
    key: 'https_proxy',
    type: optional(url),
    default: undefined,
    purpose: 'The proxy for HTTPS requests of the guest.',
    example: '"http://proxy.example:3128"',
    opensGuest: true,
    built: 'unused',
  }),
  noProxy: agentSetting({
    key: 'no_proxy',
    type: optional(words),
    default: undefined,
    purpose: 'Hosts and networks that are accessed without the proxy.',
    example: '"10.0.0.0/8,.example"',
    opensGuest: true,
    built: 'unused',
  }),
  guestComponentsRestApi: agentSetting({
    key: 'guest_components_rest_api',
    type: oneOf(['all', 'attestation', 'resource']),
    default: 'resource',
    purpose: 'Which parts of the guest components containers can reach over REST.',
    example: '"attestation"',
    opensGuest: true,
    withoutGuest: innerSetting,
  }),
  guestComponentsProcs: agentSetting({
    key: 'guest_components_procs',
    type: oneOf(['none', 'attestation-agent', 'confidential-data-hub', 'api-server-rest']),
    default: 'api-server-rest',
    purpose: 'Which guest components are started; each includes those named before it.',
    example: '"none"',
    opensGuest: true,
    withoutGuest: innerSetting,
  }),
  secureStorageIntegrity: agentSetting({
    key: 'secure_storage_integrity',
    type: boolean,
    default: true,
    purpose:
      'Whether disks that the confidential data hub encrypts are also protected against changes; not against an earlier state of a block.',
    example: 'true',
    opensGuest: true,
    withoutGuest: innerSetting,
  }),
  policyFile: agentSetting({
    key: 'policy_file',
    type: optional(path),
    default: undefined,
    purpose: "The initial policy of Kata's agent. This agent uses the document's [api] instead.",
    example: '"/etc/kata-opa/default-policy.rego"',
    opensGuest: true,
    built: 'kata',
  }),
  ...memoryAgentSettings,
  lock: agentSetting({
    key: 'lock',
    type: boolean,
    default: false,
    purpose: 'Whether all overrides of [agent] are ignored.',
    example: 'true',
    baseOnly: true,
    override: false,
  }),
  overridable: agentSetting({
    key: 'overridable',
    type: textList,
    default: undefined,
    purpose: 'The only keys of [agent] that can be overridden; it can name keys that open the guest.',
    example: '["log_level"]',
    baseOnly: true,
    override: false,
  }),
};
