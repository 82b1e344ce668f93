import type { RuleExamples } from './rule-example.js';

/** Sandbox, containers and processes. */
export const podExamples: RuleExamples<
  | 'CreateSandbox'
  | 'DestroySandbox'
  | 'GetGuestDetails'
  | 'CreateContainer'
  | 'StartContainer'
  | 'RemoveContainer'
  | 'UpdateContainer'
  | 'StatsContainer'
  | 'PauseContainer'
  | 'ResumeContainer'
  | 'ExecProcess'
  | 'SignalProcess'
  | 'WaitProcess'
  | 'WriteStdin'
  | 'ReadStdout'
  | 'ReadStderr'
  | 'CloseStdin'
  | 'TtyWinResize'
> = {
  CreateSandbox: {
    says: 'No kernel module is loaded, and no directory of hooks is named.',
    expression: 'request.kernel_modules.size() == 0 && request.guest_hook_path == ""',
    passes: { request: { hostname: 'web-0', sandbox_id: 'pod1' } },
    refused: { request: { kernel_modules: [{ name: 'nbd' }] } },
  },
  DestroySandbox: {
    says: 'The pod ends only when its containers are gone.',
    expression: 'sandbox.containers.size() == 0',
    passes: {},
    refused: { containers: ['web'] },
  },
  GetGuestDetails: {
    says: 'Nobody asks for memory that is added by its address.',
    expression: '!request.mem_hotplug_probe',
    passes: { request: { mem_block_size: true } },
    refused: { request: { mem_hotplug_probe: true } },
  },
  CreateContainer: {
    says: 'The root file system cannot be written, and storages come by two drivers only.',
    expression: 'request.OCI.Root.Readonly && request.storages.all(s, s.driver in ["virtio-fs", "local"])',
    passes: { request: { OCI: { Root: { Readonly: true } }, storages: [{ driver: 'local' }] } },
    refused: { request: { OCI: { Root: { Readonly: true } }, storages: [{ driver: 'blk' }] } },
  },
  StartContainer: {
    says: "Only what is said to come from one registry is started. It is the host's word.",
    expression: 'container.claimed.image.startsWith("registry.example/")',
    passes: { container: { image: 'registry.example/web:1' } },
    refused: { container: { image: 'elsewhere.example/web:1' } },
  },
  RemoveContainer: {
    says: 'Only what has ended is removed.',
    expression: 'container.state == "stopped"',
    passes: { container: { state: 'stopped' } },
    refused: { container: { state: 'running' } },
  },
  UpdateContainer: {
    says: 'Memory has a limit, of 1 GiB at most.',
    expression: 'request.resources.Memory.Limit > 0 && request.resources.Memory.Limit <= 1073741824',
    passes: { request: { resources: { Memory: { Limit: '536870912' } } } },
    refused: { request: { resources: { Memory: { Limit: '-1' } } } },
  },
  StatsContainer: {
    says: 'Only the host sees counters.',
    expression: 'has(peer.cid) && peer.cid == 2',
    passes: { cid: 2 },
    refused: { cid: 7 },
  },
  PauseContainer: {
    says: 'Only what runs is paused, and never the container "database".',
    expression: 'container.state == "running" && container.id != "database"',
    passes: { container: { id: 'web', state: 'running' } },
    refused: { container: { id: 'database', state: 'running' } },
  },
  ResumeContainer: {
    says: 'Only what is paused goes on.',
    expression: 'container.state == "paused"',
    passes: { container: { state: 'paused' } },
    refused: { container: { state: 'created' } },
  },
  ExecProcess: {
    says: 'Only the health check is run, without a terminal.',
    expression: 'args == ["/bin/healthcheck"] && !terminal',
    passes: { request: { process: { Args: ['/bin/healthcheck'] } } },
    refused: { request: { process: { Args: ['/bin/sh'] } } },
  },
  SignalProcess: {
    says: 'Processes are ended, and get no other signal.',
    expression: 'signal in [9, 15]',
    passes: { request: { signal: 15 } },
    refused: { request: { signal: 10 } },
  },
  WaitProcess: {
    says: 'Only the first process of a container is waited for.',
    expression: 'request.exec_id == ""',
    passes: { request: { container_id: 'web' } },
    refused: { request: { container_id: 'web', exec_id: 'e1' } },
  },
  WriteStdin: {
    says: 'Input comes in pieces of 4 KiB at most.',
    expression: 'request.data.size() <= 4096',
    passes: { request: { data: 'bHMK' } },
    refused: { request: { data: 'A'.repeat(5464) } },
  },
  ReadStdout: {
    says: 'What containers print is read, but not what an exec prints.',
    expression: 'request.exec_id == ""',
    passes: { request: { container_id: 'web', len: 4096 } },
    refused: { request: { container_id: 'web', exec_id: 'e1' } },
  },
  ReadStderr: {
    says: 'Errors of one container are read.',
    expression: 'container.id == "web"',
    passes: { container: { id: 'web' } },
    refused: { container: { id: 'database' } },
  },
  CloseStdin: {
    says: 'Only the input of an exec is closed.',
    expression: 'request.exec_id != ""',
    passes: { request: { exec_id: 'e1' } },
    refused: { request: { container_id: 'web' } },
  },
  TtyWinResize: {
    says: 'A terminal has at most 500 rows and columns.',
    expression: 'request.row <= 500 && request.column <= 500',
    passes: { request: { row: 24, column: 80 } },
    refused: { request: { row: 24, column: 100000 } },
  },
};
