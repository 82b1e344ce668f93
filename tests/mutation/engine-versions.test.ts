import assert from 'node:assert/strict';
import { test } from 'node:test';
import { clone } from '@bufbuild/protobuf';
import { SandboxView } from '@kata-agent/analysis';
import { type CreateContainerRequest, CreateContainerRequestSchema } from '@kata-agent/protocol/agent';
import { type Expected, expectedOf, setups, workloadFiles } from './expected-requests.js';
import { guestRefusal } from './guest-refusal.js';
import { containersAfter } from './run-mutations.js';

type Change = (request: CreateContainerRequest, isSandbox: boolean) => void;

/** What containerd 2 (2.3.3) sends in addition to 1.7; older versions send less. */
const containerd2: Readonly<Record<string, Change>> = {
  version: ({ OCI }) => {
    if (OCI !== undefined) OCI.Version = '1.3.0';
  },
  'image of the sandbox': ({ OCI }, isSandbox) => {
    const name = 'io.kubernetes.cri.podsandbox.image-name';
    if (isSandbox && OCI !== undefined) OCI.Annotations[name] = 'registry.example/pause:3.10.1';
  },
  'no image of the sandbox': ({ OCI }) => {
    delete OCI?.Annotations['io.kubernetes.cri.podsandbox.image-name'];
  },
  sysctls: ({ OCI }, isSandbox) => {
    if (!isSandbox || OCI?.Linux === undefined) return;
    OCI.Linux.Sysctl['net.ipv4.ip_unprivileged_port_start'] ??= '0';
    OCI.Linux.Sysctl['net.ipv4.ping_group_range'] ??= '0 2147483647';
  },
};

/** Each option that not every engine sends, separately. */
function optionalOptions(rows: readonly unknown[]): readonly (readonly [name: string, change: Change])[] {
  return rows.filter(Array.isArray).flatMap(([, destination, , ...options]: readonly string[]) =>
    options
      .filter((option) => option.endsWith('?'))
      .map((marked) => {
        const option = marked.slice(0, -1);
        const change: Change = ({ OCI }) => {
          const mount = OCI?.Mounts.find((each) => each.destination === destination);
          mount?.options.push(option);
        };
        return [`${option} at ${destination ?? ''}`, change] as const;
      }),
  );
}

/** One changed CreateContainer. */
interface Tried {
  readonly what: string;
  readonly where: string;
  /** What refuses the request unchanged, such as a disk that is missing here; then the change shows nothing of the guest. */
  readonly before: string | undefined;
  readonly refusal: string | undefined;
}

function* tried({ name, calls, authorizer, access }: Expected): Generator<Tried> {
  const view = new SandboxView(authorizer.listeners);
  for (const [index, call] of calls.entries()) {
    const { request, method, values } = call;
    if (method === 'CreateContainer') {
      const create = request as CreateContainerRequest;
      const state = { containers: containersAfter(calls.slice(0, index)), access };
      const before = guestRefusal(create, state);
      const changes = [...Object.entries(containerd2), ...optionalOptions(values.get('mountTable') ?? [])];
      for (const [what, change] of changes) {
        const changed = clone(CreateContainerRequestSchema, create);
        change(changed, call.container === '');
        const context = view.context({ method, request: changed });
        const { outcome, reason } = authorizer.decide(method, changed, context);
        const refusal = outcome === 'deny' ? reason : guestRefusal(changed, state);
        yield { what, where: `${name}, ${call.because}`, before, refusal };
      }
    }
    view.happened(call);
  }
}

test('requests of other engine versions are allowed by the generated configuration, and by the guest', async () => {
  const found: string[] = [];
  const shown = new Set<string>();
  for (const file of workloadFiles)
    for (const setup of setups)
      for (const expected of await expectedOf(file, setup))
        for (const { what, where, before, refusal } of tried(expected)) {
          if (refusal !== before) found.push(`${where}: ${what}: ${refusal ?? ''}`);
          else if (refusal === undefined) shown.add(what);
        }
  assert.deepEqual(found, []);
  for (const what of [...Object.keys(containerd2), 'nsdelegate at /sys/fs/cgroup'])
    assert.ok(shown.has(what), what);
});
