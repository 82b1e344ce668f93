// The pods of genpolicy's tests in a checkout of Kata Containers, and the decisions on their request cases.
import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { dirname, join, relative } from 'node:path';
import type { JsonObject, Message } from '@bufbuild/protobuf';
import { generate, offlineAuthorizer, renderPlan } from '@kata-agent/analysis';
import type { Configuration } from '@kata-agent/config';
import { claimedImage, claimedName, type RuleContext, type RuleMember } from '@kata-agent/gate';
import { compileRules } from '@kata-agent/gate/rules';
import {
  type ImageConfigs,
  parseImageConfig,
  readWorkloads,
  type RuntimeSetup,
  type Workload,
} from '@kata-agent/workloads';
import { loadedConfiguration } from '../harness/loaded-configuration.js';
import { completed, withCopiedVolumes } from './genpolicy-completion.js';

interface Case {
  readonly allowed: boolean;
  readonly description: string;
  /** `CreateContainerRequest`. */
  readonly kind: string;
  readonly request: JsonObject;
}

/** A case, and how it is decided. */
export interface Decided extends Case {
  readonly directory: string;
  /** The rules that deny the request; empty: it passes. */
  readonly deniedBy: readonly string[];
  /** Those of them that deny no request of the same pod and method that genpolicy allows. */
  readonly own: readonly string[];
}

const path = 'PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin';
const redis = {
  Entrypoint: ['/usr/bin/entrypoint.sh'],
  Env: [path, 'REDIS_PORT=6379'],
  WorkingDir: '/data',
  Volumes: { '/data': {}, '/node-conf': {} },
};

/** Images of the pods whose configuration is public. */
export const images: ImageConfigs = new Map(
  (
    [
      [
        'registry.k8s.io/pause:3.6@sha256:3d380ca8864549e74af4b29c10f9cb0956236dfb01c40ca076fb6c37253234db',
        { Entrypoint: ['/pause'], User: '65535:65535', WorkingDir: '/' },
      ],
      ['quay.io/prometheus/busybox:latest', { Cmd: ['sh'] }],
      [
        'ghcr.io/burgerdev/weird-images/gid:latest@sha256:bdbb485bb9e3baf381a2957b9369b6051c6113097a5f8dcee27faff17624a2c0',
        { Entrypoint: ['/entrypoint.sh'] },
      ],
      ...[
        'quay.io/opstree/redis',
        'quay.io/kata-containers/test-images/opstree/redis:sha256-2642c7b07713df6897fa88cbe6db85170690cf3650018ceb2ab16cfa0b4f8d48',
      ].map((name) => [name, redis] as const),
    ] as readonly (readonly [string, object])[]
  ).map(([name, config]) => [name, parseImageConfig(JSON.stringify({ config: withPath(config) }))]),
);

function withPath(config: object): object {
  return { Env: [path], ...config };
}

/** Returns the directories with cases. */
export function directoriesBelow(directory: string): readonly string[] {
  return readdirSync(directory, { recursive: true, encoding: 'utf8' })
    .filter((name) => name.endsWith('testcases.json'))
    .map((name) => dirname(join(directory, name)))
    .toSorted();
}

/** A pod with its cases. */
export interface PodWithCases {
  readonly cases: readonly Case[];
  /** The text of the pod's file. */
  readonly text: string;
  readonly workload: Workload;
  readonly setup: RuntimeSetup;
}

/** Reads a directory of the testdata. */
export function readPod(directory: string): PodWithCases {
  const cases = JSON.parse(readFileSync(join(directory, 'testcases.json'), 'utf8')) as readonly Case[];
  const files = ['pod.yaml', 'config_map.yaml']
    .map((name) => join(directory, name))
    .filter((file) => existsSync(file))
    .map((file) => ({ file, text: readFileSync(file, 'utf8') }));
  const [workload] = readWorkloads(files);
  const [pod] = files;
  if (workload === undefined || pod === undefined) throw new Error(`${directory} has no pod`);
  const inPodns = JSON.stringify(cases).includes('/run/netns/podns');
  const setup: RuntimeSetup = {
    runtime: 'go',
    guest: 'confidential',
    ...(inPodns ? { networkNamespace: '/run/netns/podns' } : {}),
  };
  return { cases, text: pod.text, workload, setup };
}

/** Decides on the cases of a directory below `root` with the configuration that is generated for its pod. */
export async function decideAll(root: string, directory: string): Promise<readonly Decided[]> {
  const { cases, workload: pod, setup } = readPod(directory);
  const copied = cases.flatMap(({ request }) =>
    typeof request['path'] === 'string' ? [request['path']] : [],
  );
  const workload = withCopiedVolumes(pod, copied);
  const text = renderPlan(generate([workload], { setup, images }), [directory]);
  const configuration = await loadedConfiguration(text);
  const decide = (ownHostname: boolean): readonly (readonly string[])[] => {
    const together = new Sandbox();
    return cases.map((each) => {
      // Only the cases in `state` follow each other.
      const sandbox = directory.startsWith(join(root, 'state')) ? together : new Sandbox();
      const method = each.kind.replace(/Request$/, '');
      const nameOf = (id: string): string | undefined => sandbox.nameOf(id);
      const request = completed(method, each.request, { workload, setup, images, nameOf, ownHostname });
      const context = sandbox.contextOf(method, request, configuration);
      const deniedBy =
        context === undefined
          ? ['no such container']
          : reasonsAgainst(configuration, method, request, context);
      if (each.allowed || deniedBy.length === 0) sandbox.happened(method, request);
      return deniedBy;
    });
  };
  const asGiven = decide(false);
  const withOwnHostname = decide(true);
  const usual = (kind: string): ReadonlySet<string> =>
    new Set(
      cases.flatMap((each, index) =>
        each.allowed && each.kind === kind ? (withOwnHostname[index] ?? []) : [],
      ),
    );
  return cases.map((each, index) => {
    const deniedBy = (each.allowed ? asGiven : withOwnHostname)[index] ?? [];
    const others = usual(each.kind);
    const own = deniedBy.filter((rule) => !others.has(rule));
    return { ...each, directory: relative(root, directory), deniedBy, own };
  });
}

/** Returns each rule that denies a request; what the lists or the agent itself refuses is the only entry then. */
function reasonsAgainst(
  configuration: Configuration,
  method: string,
  request: Message,
  context: RuleContext,
): readonly string[] {
  const allowed = offlineAuthorizer(configuration).decide(method, request, context);
  if (allowed.outcome === 'deny') return [`${allowed.rule ?? 'lists'}: ${allowed.reason}`];
  return configuration.api.documents
    .flatMap((document) => document.rules)
    .filter((rule) => compileRules([rule]).decide(allowed, request, context).outcome === 'deny')
    .map(({ name }) => name);
}

/** The containers that earlier cases of a directory created; a single case finds what runs before its container. */
class Sandbox {
  readonly #containers = new Map<string, { claims: JsonObject; name: string }>();
  readonly #removed: RuleMember[] = [];

  /** Undefined: the agent denies it, because the container does not exist. */
  contextOf(method: string, request: Message, { listeners }: Configuration): RuleContext | undefined {
    const { containerId = '', OCI } = request as { containerId?: string; OCI?: { Annotations: JsonObject } };
    const annotations = (OCI?.Annotations ?? this.#containers.get(containerId)?.claims ?? {}) as Record<
      string,
      string
    >;
    if (method === 'ExecProcess' && !this.#containers.has(containerId)) return undefined;
    const isPause = claimedName(annotations) === '';
    const pause: RuleMember = { name: '', state: 'running' };
    const members = [...this.#containers.values()].map(
      ({ name }): RuleMember => ({ name, state: 'running' }),
    );
    return {
      listener: listeners[0]?.name ?? '',
      peer: { kind: 'vsock', cid: 2 },
      sandbox: {
        id: annotations['io.kubernetes.cri.sandbox-id'] ?? 'sandbox',
        containers: [...this.#containers.keys()],
        members: isPause ? [] : [pause, ...members, ...this.#removed],
      },
      ...(containerId === ''
        ? {}
        : {
            container: {
              id: containerId,
              state: method === 'CreateContainer' ? 'none' : 'running',
              claimed: { image: claimedImage(annotations), annotations },
            },
          }),
    };
  }

  nameOf(containerId: string): string | undefined {
    return this.#containers.get(containerId)?.name;
  }

  happened(method: string, request: Message): void {
    const { containerId = '', OCI } = request as { containerId?: string; OCI?: { Annotations: JsonObject } };
    const claims = OCI?.Annotations ?? {};
    if (method === 'CreateContainer')
      this.#containers.set(containerId, { claims, name: claimedName(claims as Record<string, string>) });
    if (method !== 'RemoveContainer') return;
    const name = this.#containers.get(containerId)?.name;
    if (name !== undefined) this.#removed.push({ name, state: 'removed', exitCode: 0 });
    this.#containers.delete(containerId);
  }
}
