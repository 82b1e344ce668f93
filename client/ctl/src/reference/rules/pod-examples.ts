import type { RuleExamples } from './rule-example.js';

/** Examples for sandbox, containers and processes. */
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
    description: 'No kernel module is loaded, and no hook directory is named.',
    expression: 'request.kernel_modules.size() == 0 && request.guest_hook_path == ""',
    passes: { request: { hostname: 'web-0', sandbox_id: 'pod1' } },
    refused: { request: { kernel_modules: [{ name: 'nbd' }] } },
  },
  DestroySandbox: {
    description: 'The sandbox is destroyed only when no container is left.',
    expression: 'sandbox.containers.size() == 0',
    passes: {},
    refused: { containers: ['web'] },
  },
  GetGuestDetails: {
    description: 'No memory is added by address.',
    expression: '!request.mem_hotplug_probe',
    passes: { request: { mem_block_size: true } },
    refused: { request: { mem_hotplug_probe: true } },
  },
  CreateContainer: {
    description: 'The root filesystem is read-only, and storages use two drivers only.',
    expression: 'request.OCI.Root.Readonly && request.storages.all(s, s.driver in ["virtio-fs", "local"])',
    passes: { request: { OCI: { Root: { Readonly: true } }, storages: [{ driver: 'local' }] } },
    refused: { request: { OCI: { Root: { Readonly: true } }, storages: [{ driver: 'blk' }] } },
  },
  StartContainer: {
    description: 'The image name has one registry. The host sets this name.',
    expression: 'container.claimed.image.startsWith("registry.example/")',
    passes: { container: { image: 'registry.example/web:1' } },
    refused: { container: { image: 'elsewhere.example/web:1' } },
  },
  RemoveContainer: {
    description: 'Only stopped containers are removed.',
    expression: 'container.state == "stopped"',
    passes: { container: { state: 'stopped' } },
    refused: { container: { state: 'running' } },
  },
  UpdateContainer: {
    description: 'There is a memory limit, of at most 1 GiB.',
    expression: 'request.resources.Memory.Limit > 0 && request.resources.Memory.Limit <= 1073741824',
    passes: { request: { resources: { Memory: { Limit: '536870912' } } } },
    refused: { request: { resources: { Memory: { Limit: '-1' } } } },
  },
  StatsContainer: {
    description: 'Only the host reads counters.',
    expression: 'has(peer.cid) && peer.cid == 2',
    passes: { cid: 2 },
    refused: { cid: 7 },
  },
  PauseContainer: {
    description: 'Only running containers are paused, and never "database".',
    expression: 'container.state == "running" && container.id != "database"',
    passes: { container: { id: 'web', state: 'running' } },
    refused: { container: { id: 'database', state: 'running' } },
  },
  ResumeContainer: {
    description: 'Only paused containers are resumed.',
    expression: 'container.state == "paused"',
    passes: { container: { state: 'paused' } },
    refused: { container: { state: 'created' } },
  },
  ExecProcess: {
    description: 'Only the health check is run, without a terminal.',
    expression: 'args == ["/bin/healthcheck"] && !terminal',
    passes: { request: { process: { Args: ['/bin/healthcheck'] } } },
    refused: { request: { process: { Args: ['/bin/sh'] } } },
  },
  SignalProcess: {
    description: 'Processes are terminated and get no other signal.',
    expression: 'signal in [9, 15]',
    passes: { request: { signal: 15 } },
    refused: { request: { signal: 10 } },
  },
  WaitProcess: {
    description: 'Only the first process of a container is waited for.',
    expression: 'request.exec_id == ""',
    passes: { request: { container_id: 'web' } },
    refused: { request: { container_id: 'web', exec_id: 'e1' } },
  },
  WriteStdin: {
    description: 'Input has at most 4 KiB per call.',
    expression: 'request.data.size() <= 4096',
    passes: { request: { data: 'bHMK' } },
    refused: { request: { data: 'A'.repeat(5464) } },
  },
  ReadStdout: {
    description: 'Output of containers is read, output of execs is not.',
    expression: 'request.exec_id == ""',
    passes: { request: { container_id: 'web', len: 4096 } },
    refused: { request: { container_id: 'web', exec_id: 'e1' } },
  },
  ReadStderr: {
    description: 'Standard error of one container is read.',
    expression: 'container.id == "web"',
    passes: { container: { id: 'web' } },
    refused: { container: { id: 'database' } },
  },
  CloseStdin: {
    description: 'Only the input of an exec is closed.',
    expression: 'request.exec_id != ""',
    passes: { request: { exec_id: 'e1' } },
    refused: { request: { container_id: 'web' } },
  },
  TtyWinResize: {
    description: 'A terminal has at most 500 rows and columns.',
    expression: 'request.row <= 500 && request.column <= 500',
    passes: { request: { row: 24, column: 80 } },
    refused: { request: { row: 24, column: 100000 } },
  },
};
