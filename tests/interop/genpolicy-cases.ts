// The request cases of Kata's genpolicy against configurations that `config generate` writes for the same pods:
//
//   node tests/dist/interop/genpolicy-cases.js --source DIR [--verbose]
//
// DIR is a checkout of Kata Containers; nothing of it is in this repository. A request of a case has only the members that
// its policy reads; the others come from the request that a runtime is expected to make (`genpolicy-completion.ts`).
//
// Prints a line for each case that is decided otherwise than by genpolicy, with the rules that deny it, and a summary. The
// exit code is 1 if a request passes that genpolicy refuses, or if each rule that denies it also denies a request of the same
// pod and method that genpolicy allows: then the decision may be about something else than the case.
import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { dirname, join, relative } from 'node:path';
import { parseArgs } from 'node:util';
import type { JsonObject, Message } from '@bufbuild/protobuf';
import { generate, offlineAuthorizer, renderPlan } from '@kata-agent/analysis';
import type { Configuration } from '@kata-agent/config';
import { claimedImage, claimedName, type RuleContext, type RuleMember } from '@kata-agent/gate';
import { compileRules } from '@kata-agent/gate/rules';
import { type ImageConfigs, parseImageConfig, readWorkloads, type RuntimeSetup } from '@kata-agent/workloads';
import { loadedConfiguration } from '../harness/loaded-configuration.js';
import { completed, withCopiedVolumes } from './genpolicy-completion.js';

interface Case {
  readonly allowed: boolean;
  readonly description: string;
  /** `CreateContainerRequest`. */
  readonly kind: string;
  readonly request: JsonObject;
}

interface Decided extends Case {
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
const images: ImageConfigs = new Map(
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

const { values } = parseArgs({
  options: { source: { type: 'string' }, verbose: { type: 'boolean', default: false } },
});
if (values.source === undefined) {
  console.error('usage: node tests/dist/interop/genpolicy-cases.js --source DIR [--verbose]');
  process.exit(2);
}
const root = join(values.source, 'src/tools/genpolicy/tests/policy/testdata');
if (!existsSync(root)) {
  console.error(`${root} does not exist\nhelp: pass a checkout of Kata Containers with src/tools/genpolicy`);
  process.exit(3);
}

function directoriesBelow(directory: string): readonly string[] {
  return readdirSync(directory, { recursive: true, encoding: 'utf8' })
    .filter((name) => name.endsWith('testcases.json'))
    .map((name) => dirname(join(directory, name)))
    .toSorted();
}

async function decideAll(directory: string): Promise<readonly Decided[]> {
  const cases = JSON.parse(readFileSync(join(directory, 'testcases.json'), 'utf8')) as readonly Case[];
  const files = ['pod.yaml', 'config_map.yaml']
    .map((name) => join(directory, name))
    .filter((file) => existsSync(file))
    .map((file) => ({ file, text: readFileSync(file, 'utf8') }));
  const [pod] = readWorkloads(files);
  if (pod === undefined) throw new Error(`${directory} has no pod`);
  const copied = cases.flatMap(({ request }) =>
    typeof request['path'] === 'string' ? [request['path']] : [],
  );
  const workload = withCopiedVolumes(pod, copied);
  const inPodns = JSON.stringify(cases).includes('/run/netns/podns');
  const setup: RuntimeSetup = {
    runtime: 'go',
    guest: 'confidential',
    ...(inPodns ? { networkNamespace: '/run/netns/podns' } : {}),
  };
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

function report(all: readonly Decided[]): void {
  const passed = ({ deniedBy }: Decided): boolean => deniedBy.length === 0;
  const isUnclear = ({ allowed, deniedBy, own }: Decided): boolean =>
    !allowed && deniedBy.length > 0 && own.length === 0;
  for (const each of all) {
    const { directory, kind, description, allowed, deniedBy, own } = each;
    if (passed(each) === allowed && !isUnclear(each) && !values.verbose) continue;
    const decision = isUnclear(each) ? 'unclear' : passed(each) ? 'passes' : 'denied';
    console.log(
      `${allowed ? 'allowed' : 'refused'} by genpolicy, ${decision}: ${directory}, ${kind}: ${description}`,
    );
    for (const rule of deniedBy)
      console.log(`    ${rule}${allowed || own.includes(rule) ? '' : ' (an allowed case too)'}`);
  }
  const allowed = all.filter((each) => each.allowed);
  const refused = all.filter((each) => !each.allowed);
  console.log(
    `${all.length} cases; allowed by genpolicy: ${allowed.length}, of which ${allowed.filter(passed).length} pass; ` +
      `refused: ${refused.length}, of which ${refused.filter(passed).length} pass and ${refused.filter(isUnclear).length} are unclear`,
  );
  process.exitCode = refused.some((each) => passed(each) || isUnclear(each)) ? 1 : 0;
}

const decided: Decided[] = [];
for (const directory of directoriesBelow(root)) decided.push(...(await decideAll(directory)));
report(decided);
