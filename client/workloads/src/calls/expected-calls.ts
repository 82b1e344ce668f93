import { create, type Message } from '@bufbuild/protobuf';
import {
  type Condition,
  type MethodName,
  type Phase,
  type RuntimeCall,
  runtimeCalls,
} from '@kata-agent/catalogue';
import { AgentService, ExecProcessRequestSchema } from '@kata-agent/protocol/agent';
import { type Process, ProcessSchema } from '@kata-agent/protocol/oci';
import type { Container, KubeletCommand } from '../pod/container.js';
import type { ImageConfigs } from '../pod/container-image.js';
import type { Workload } from '../pod/workload.js';
import { type NewContainer, pauseContainer, podContainer } from './create-container.js';
import type { Entry, FactName } from '../facts/fact.js';
import { expand, knownText } from './expansion.js';
import { allowedBy, noOperatorAccess } from '../pod/operator-access.js';
import { type ExpectedCall, Origins } from './expected-call.js';
import { featureOf } from '../pod/feature.js';
import type { RuntimeSetup } from './runtime-setup.js';
import { resizedMounts, sandboxRequest } from './sandbox-request.js';

/**
 * Returns the calls that a runtime is expected to make for one pod of the workload, in order: the sandbox, each
 * container from creation to end, and the removal; an init container ends before the next container starts. Calls that
 * only an operator causes (`kubectl exec`, `top`, `logs`) are included if the workload allows them; calls that the setup rules out are not.
 */
export function expectedCalls(
  workload: Workload,
  setup: RuntimeSetup,
  images: ImageConfigs = new Map(),
): readonly ExpectedCall[] {
  const containers = [pauseContainer(workload, setup)];
  for (const container of workload.containers) {
    // An init container is removed before the next container is created.
    const existing = containers.filter((each) => each.container?.role !== 'init');
    const earlier = new Set(existing.flatMap(({ volumes }) => volumes.map(({ subject }) => subject)));
    const image = images.get(container.image);
    containers.push(podContainer(workload, container, { image, earlier }, setup));
  }
  const rows = runtimeCalls[setup.runtime];
  const of = (...phases: readonly Phase[]): readonly RuntimeCall[] =>
    rows.filter(({ phase }) => phases.includes(phase));
  const endOf = (container: NewContainer): readonly ExpectedCall[] =>
    of('stop')
      // An init container exits by itself.
      .filter(({ method }) => container.container?.role !== 'init' || method !== 'SignalProcess')
      .flatMap((row) => containerCalls(workload, container, row));
  return [
    ...of('sandbox').flatMap((row) => sandboxCalls(workload, setup, row)),
    ...containers.flatMap((container) => [
      ...of('create', 'start').flatMap((row) => containerCalls(workload, container, row)),
      ...(container.container?.role === 'init' ? [container] : []).flatMap(endOf),
    ]),
    ...containers.flatMap((container) => execCalls(workload, container, setup, of('exec'))),
    ...containers.flatMap((container) =>
      of('observe').flatMap((row) => metricCalls(workload, container, row)),
    ),
    ...containers
      .filter(({ container }) => container?.role !== 'init')
      .toReversed()
      .flatMap(endOf),
    ...of('destroy').flatMap((row) => sandboxCalls(workload, setup, row)),
  ];
}

/** Returns why a conditional call is made for this pod; undefined if it is not. */
function because(
  condition: Condition | undefined,
  workload: Workload,
  { container }: Partial<NewContainer>,
): string | undefined {
  switch (condition) {
    case undefined:
      return 'every pod';
    case 'the network has static neighbours':
      return 'networks with static neighbours, such as Calico’s';
    case 'the process has a terminal':
      return container?.terminal === true ? `${container.path}.tty` : undefined;
    case 'the process has standard input':
      return container?.stdin === true ? `${container.path}.stdin` : undefined;
    case 'the runtime sizes the machine': {
      const memory = [...workload.volumes.values()].find((volume) => volume.memory);
      return memory !== undefined && container?.limited === true ? memory.path : undefined;
    }
    default:
      return undefined;
  }
}

function sandboxCalls(workload: Workload, setup: RuntimeSetup, row: RuntimeCall): readonly ExpectedCall[] {
  const reason = because(row.condition, workload, {});
  if (reason === undefined) return [];
  if (row.method !== 'CreateSandbox') return [call(row.method, empty(row.method), reason)];
  const origins = new Origins();
  const { request, values } = sandboxRequest(workload, setup, origins);
  return [{ ...call(row.method, request, reason, origins), values }];
}

function containerCalls(
  workload: Workload,
  created: NewContainer,
  row: RuntimeCall,
): readonly ExpectedCall[] {
  const { id, container, origins } = created;
  switch (row.method) {
    case 'CopyFile':
      return created.copies.map((copy) => call('CopyFile', copy.request, copy.because, origins));
    case 'CreateContainer':
      return [
        {
          ...call('CreateContainer', created.request, created.because, origins),
          container: container?.name ?? '',
          values: created.values,
          volumes: created.volumes,
          ...(created.words === undefined ? {} : { words: created.words }),
        },
      ];
    case 'SignalProcess':
      return stopCalls(created);
    case 'ReadStdout':
    case 'ReadStderr':
      return readCalls(workload, created, row);
    case 'GetDiagnosticData':
      if (created.copies.length === 0 || container === undefined) return [];
      return [
        call(
          row.method,
          empty(row.method, { containerId: id, logType: 'termination_log' }),
          `${container.path}.terminationMessagePath`,
        ),
      ];
    case 'GetOOMEvent':
    case 'RemoveStaleVirtiofsShareMounts':
      return container === undefined ? [call(row.method, empty(row.method), 'every pod')] : [];
    case 'UpdateEphemeralMounts': {
      const reason = because(row.condition, workload, created);
      if (reason === undefined) return [];
      const { request, values } = resizedMounts(workload);
      return [{ ...call(row.method, request, reason), values }];
    }
    default: {
      const reason = because(row.condition, workload, created);
      return reason === undefined ? [] : [call(row.method, empty(row.method, { containerId: id }), reason)];
    }
  }
}

/** Output is read for logs and commands, which an operator requests, or for kubectl attach. */
function readCalls(
  { operator = noOperatorAccess }: Workload,
  { id, container }: NewContainer,
  { method }: RuntimeCall,
): readonly ExpectedCall[] {
  if (container === undefined) return [];
  const { stdin, terminal, path } = container;
  const reason =
    stdin || terminal ? `${path}.${stdin ? 'stdin' : 'tty'}` : operator.logs ? allowedBy.logs : undefined;
  const feature = stdin || terminal ? {} : ({ feature: 'kubectl logs' } as const);
  return [
    ...(reason === undefined
      ? []
      : [{ ...call(method, empty(method, { containerId: id }), reason), ...feature }]),
    ...(operator.commands.length === 0
      ? []
      : [
          {
            ...call(method, empty(method, { containerId: id, execId: sampleExec }), allowedBy.commands),
            feature: 'kubectl exec' as const,
          },
        ]),
  ];
}

/** The engine asks for the metrics of each container, that of the pause container too. */
function metricCalls(
  { operator = noOperatorAccess }: Workload,
  { id }: NewContainer,
  { method }: RuntimeCall,
): readonly ExpectedCall[] {
  if (method !== 'StatsContainer' || !operator.metrics) return [];
  return [{ ...call(method, empty(method, { containerId: id }), allowedBy.metrics), feature: 'kubectl top' }];
}

/**
 * The kubelet sends the stop signal first; after the grace period the remaining containers, and always the pause
 * container, are killed.
 */
function stopCalls({
  id,
  because: reason,
  container,
  origins,
  stopSignal,
}: NewContainer): readonly ExpectedCall[] {
  const signal = (number: number, why: string): ExpectedCall => ({
    ...call('SignalProcess', empty('SignalProcess', { containerId: id, signal: number }), why, origins),
    container: container?.name ?? '',
  });
  origins.of('signal', 9, 'the end of a container');
  return container === undefined ? [signal(9, reason)] : [signal(stopSignal, reason), signal(9, reason)];
}

const sampleExec = 'exec-1';

function execCalls(
  { operator = noOperatorAccess }: Workload,
  { id, container, request, origins, values }: NewContainer,
  setup: RuntimeSetup,
  rows: readonly RuntimeCall[],
): readonly ExpectedCall[] {
  if (rows.length === 0 || container === undefined) return [];
  const ofOperator = operator.commands.map(
    (argv): KubeletCommand => ({ argv, feature: 'kubectl exec', path: allowedBy.commands }),
  );
  return [...container.kubeletCommands, ...ofOperator].map((given) => {
    const command = expandedCommand(given, container);
    const own = new Origins();
    own.of('command', command.argv, command.path);
    own.of('commandLine', [container.name, ...command.argv], command.path);
    for (const [key, value] of origins.fields) if (!own.fields.has(key)) own.fields.set(key, value);
    for (const [fact, forms] of origins.forms) if (fact !== 'commandLine') own.forms.set(fact, forms);
    for (const name of origins.optionalVariables) own.optionalVariables.add(name);
    for (const [fact, why] of origins.unknown)
      if (fact !== 'command' && fact !== 'commandLine') own.guessed(fact, why);
    own.open.push(...origins.open.filter(({ fact }) => fact !== 'commandLine'));
    return {
      ...call('ExecProcess', execRequest(id, command, request.OCI?.Process, setup), command.path, own),
      feature: command.feature,
      container: container.name,
      values: new Map<FactName, readonly Entry[]>([
        ['commandLine', [[container.name, ...command.argv]]],
        ...(['variables', 'groups', 'privileges'] as const).map(
          (fact) => [fact, values.get(fact) ?? []] as const,
        ),
      ]),
    };
  });
}

/**
 * The kubelet expands references in the command of a probe, and only to values that are in the pod: a variable from elsewhere is empty. It
 * expands none in a lifecycle hook.
 *
 * Source: Kubernetes `ExpandContainerCommandOnlyStatic` in pkg/kubelet/container/helpers.go, called by `runProbe` alone.
 */
function expandedCommand(command: KubeletCommand, container: Container | undefined): KubeletCommand {
  if (command.feature !== 'exec probes') return command;
  const values = new Map((container?.variables ?? []).map(({ name, value }) => [name, value ?? '']));
  const resolve = (name: string): readonly string[] | undefined => {
    const value = values.get(name);
    return value === undefined ? undefined : [value];
  };
  return { ...command, argv: command.argv.map((text) => knownText(expand(text, resolve)) ?? text) };
}

/**
 * Returns the container's process with another command, as rules see it. The Go runtime passes on only user, variables
 * and working directory (`cmdToKataProcess`): the agent completes capabilities, resource limits and no_new_privs.
 */
function execRequest(
  containerId: string,
  command: KubeletCommand,
  process: Process | undefined,
  setup: RuntimeSetup,
): Message {
  const { User, Env = [], Cwd = '', Capabilities, Rlimits = [], NoNewPrivileges = false } = process ?? {};
  const ofGo = {
    Env,
    Cwd,
    Rlimits,
    NoNewPrivileges,
    ...(User === undefined ? {} : { User }),
    ...(Capabilities === undefined ? {} : { Capabilities }),
  };
  const passed = setup.runtime === 'rs' ? process : ofGo;
  return create(ExecProcessRequestSchema, {
    containerId,
    execId: sampleExec,
    process: { ...(passed ?? create(ProcessSchema)), Args: [...command.argv], Terminal: false },
  });
}

function call(
  method: MethodName,
  request: Message,
  reason: string,
  origins: Origins = new Origins(),
): ExpectedCall {
  return {
    method,
    request,
    because: reason,
    feature: featureOf(method),
    origins: origins.fields,
    values: new Map(),
    forms: origins.forms,
    optionalVariables: origins.optionalVariables,
    unknown: origins.unknown,
    open: origins.open,
  };
}

/** Returns a request of a method with only these fields. */
function empty(method: MethodName, fields: Readonly<Record<string, unknown>> = {}): Message {
  const found = AgentService.methods.find(({ name }) => name === method);
  if (found === undefined) throw new TypeError(`${method} is not a method of the service`);
  return Object.assign(create(found.input), fields);
}
