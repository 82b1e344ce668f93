import assert from 'node:assert/strict';
import { createHash } from 'node:crypto';
import { test } from 'node:test';
import { clone, create, isMessage, type Message } from '@bufbuild/protobuf';
import { SandboxView } from '@kata-agent/analysis';
import { programWithoutRoot, type RuleImage } from '@kata-agent/gate';
import { compileRules } from '@kata-agent/gate/rules';
import { type CreateContainerRequest, CreateContainerRequestSchema } from '@kata-agent/protocol/agent';
import { MountSchema, type Process, UserSchema } from '@kata-agent/protocol/oci';
import { type ExpectedCall, expectedCalls, type ImageConfig, type RuntimeSetup } from '@kata-agent/workloads';
import { loadedConfiguration } from '../harness/loaded-configuration.js';
import { generatedFor, images, workloadFiles, workloadsIn } from './expected-requests.js';

/** The mutations of images that a guest pulls itself: each by the one rule that sees them. */
const setups: readonly RuntimeSetup[] = [
  { runtime: 'go', guest: 'confidential', puller: 'built-in' },
  { runtime: 'rs', guest: 'confidential', puller: 'built-in' },
  { runtime: 'remote', guest: 'confidential', puller: 'built-in', networkNamespace: '/run/netns/podns' },
];

const digestOf = (name: string): string => `sha256:${createHash('sha256').update(name).digest('hex')}`;
/** The images by the names that the pods have here. */
const pinned: ReadonlyMap<string, ImageConfig> = new Map(
  [...images].map(([name, config]) => [`${name}@${digestOf(name)}`, { ...config, digest: digestOf(name) }]),
);
const withDigests = (text: string): string =>
  text.replaceAll(/(?<=image: )\S+/g, (name) => `${name}@${digestOf(name)}`);

/**
 * What the guest sees: the root is as the unchanged request and the image's configuration say.
 *
 * @param changed has the mounts.
 */
function imageOf(request: CreateContainerRequest, changed = request): RuleImage {
  if (request.OCI?.Annotations['io.kubernetes.cri.container-type'] === 'sandbox')
    return { from: 'pause_bundle' };
  const reference = request.storages.find(({ driver }) => driver === 'image_guest_pull')?.source ?? '';
  const config = pinned.get(reference);
  assert.ok(config !== undefined, reference);
  return {
    from: 'pulled',
    reference,
    digest: config.digest,
    config,
    program: { ...programWithoutRoot(request, config), mounts: programWithoutRoot(changed, config).mounts },
  };
}

interface Change {
  readonly name: string;
  readonly request?: (request: CreateContainerRequest, process: Process) => void;
  readonly image?: (image: RuleImage) => RuleImage;
  /** Whether only a rule that compares the process finds it. */
  readonly ofProcess?: boolean;
}

const other = `sha256:${'0'.repeat(64)}`;
const changes: readonly Change[] = [
  { name: 'another digest', image: (image) => ({ ...image, digest: other }) },
  { name: 'no digest', image: ({ digest: _digest, ...image }) => image },
  { name: 'a root of the host', image: () => ({ from: 'host' }) },
  { name: 'the pause bundle', image: () => ({ from: 'pause_bundle' }) },
  { name: 'another program', ofProcess: true, request: (_, { Args }) => void (Args[0] = '/bin/sh') },
  { name: 'one more argument', ofProcess: true, request: (_, { Args }) => void Args.push('--debug') },
  {
    name: 'one more variable',
    ofProcess: true,
    request: (_, { Env }) => void Env.push('LD_PRELOAD=/data/x.so'),
  },
  {
    name: 'another PATH',
    ofProcess: true,
    request: (_, process) =>
      void (process.Env = process.Env.map((entry) => (entry.startsWith('PATH=') ? 'PATH=/data' : entry))),
  },
  { name: 'another directory', ofProcess: true, request: (_, process) => void (process.Cwd = '/data/x') },
  {
    name: 'another user',
    ofProcess: true,
    request: (_, { User }) => void (User && (User.UID += 1)),
  },
  {
    name: 'another group',
    ofProcess: true,
    request: (_, process) => void process.User?.AdditionalGids.push(4_000_000),
  },
  ...['/usr/lib/x86_64-linux-gnu', '/usr', '/lib/ld-musl-x86_64.so.1', '/etc/ld.so.preload', '/etc'].map(
    (destination): Change => ({
      name: `a mount at ${destination}`,
      ofProcess: true,
      request: ({ OCI }) =>
        void OCI?.Mounts.push(create(MountSchema, { destination, type: 'bind', source: '/run/x' })),
    }),
  ),
  {
    name: 'a mount over the program',
    ofProcess: true,
    request: ({ OCI }, { Args: [program = ''], Cwd }) => {
      const path = program.includes('/') ? new URL(program, `file://${Cwd}/`).pathname : '/usr/bin';
      OCI?.Mounts.push(create(MountSchema, { destination: path, type: 'bind', source: '/run/x' }));
    },
  },
];

for (const setup of setups)
  test(`an image, or a process of one, that is changed is refused, ${setup.runtime}`, async (t) => {
    const counts = { calls: 0, changed: 0, compared: 0 };
    for (const file of workloadFiles) {
      const workloads = workloadsIn(file, withDigests);
      const configuration = await loadedConfiguration(generatedFor(workloads, setup, pinned));
      const rules = configuration.api.documents.flatMap((document) => document.rules);
      const [rule] = rules.filter(({ name }) => name === 'create-container-verified-images');
      assert.ok(rule !== undefined);
      const alone = compileRules([rule]);
      const whole = compileRules(rules);
      for (const workload of workloads) {
        const view = new SandboxView(configuration.listeners);
        for (const call of expectedCalls(workload, setup, pinned)) {
          const context = view.next(call);
          if (!isMessage(call.request, CreateContainerRequestSchema)) continue;
          const decide = (book: typeof alone, request: Message, image: RuleImage) =>
            book.decide(
              { outcome: 'allow', method: 'CreateContainer', listener: context.listener, reason: '' },
              request,
              { ...context, image },
            );
          const unchanged = decide(whole, call.request, imageOf(call.request));
          assert.equal(unchanged.outcome, 'allow', `${file}, ${call.because}: ${unchanged.reason}`);
          counts.calls += 1;
          for (const change of changes) {
            if (!applies(change, call, rule.expression)) continue;
            const request = clone(CreateContainerRequestSchema, call.request);
            const process = request.OCI?.Process;
            if (process !== undefined) {
              process.User ??= create(UserSchema);
              change.request?.(request, process);
            }
            const image = imageOf(call.request, request);
            const { outcome } = decide(alone, request, change.image?.(image) ?? image);
            assert.equal(outcome, 'deny', `${file}, ${call.because}: ${change.name}`);
            counts.changed += 1;
            if (change.ofProcess === true) counts.compared += 1;
          }
        }
      }
    }
    assert.ok(counts.compared > 200, String(counts.compared));
    t.diagnostic(
      `${counts.calls} containers allowed; ${counts.changed} changes denied, ${counts.compared} by the process`,
    );
  });

/** The pause bundle is the pause container's; processes that the pod replaces are restricted by other rules. */
function applies(
  { name, ofProcess }: Change,
  { container, request }: ExpectedCall,
  expression: string,
): boolean {
  const isPause = container === undefined || container === '';
  if (isPause) return ofProcess !== true && ['a root of the host'].includes(name);
  if (ofProcess !== true) return true;
  return isMessage(request, CreateContainerRequestSchema) && isCompared(container, expression);
}

/** Reports whether the rule compares the process of a container. */
function isCompared(container: string, expression: string): boolean {
  const part = expression
    .split('(!(container.claimed.name in ')
    .find((each) => each.startsWith('[') && each.slice(0, each.indexOf(']')).includes(`"${container}"`));
  return (part ?? '').includes('runs_image_entrypoint');
}
