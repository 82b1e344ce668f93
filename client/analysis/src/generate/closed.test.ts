import assert from 'node:assert/strict';
import { before, describe, test } from 'node:test';
import { clone, isMessage } from '@bufbuild/protobuf';
import { compileRules, createRuleChecker } from '@kata-agent/gate/rules';
import { CreateContainerRequestSchema } from '@kata-agent/protocol/agent';
import type { Process } from '@kata-agent/protocol/oci';
import {
  type ExpectedCall,
  expectedCalls,
  type ImageConfigs,
  parseImageConfig,
  readWorkloads,
  type RuntimeSetup,
} from '@kata-agent/workloads';
import { SandboxView } from '../preflight/sandbox-view.js';
import { type OfflineAuthorizer, offlineAuthorizer } from '../suites/offline-authorizer.js';
import { configurationOf } from '../testing/configuration-of.js';
import type { Plan } from '../write/plan.js';
import { renderPlan } from '../write/render-plan.js';
import { generate } from './generate.js';

const pod = `kind: Pod
metadata: { name: shop }
spec:
  containers:
    - name: web
      image: a
      args: ["--token=$(TOKEN)!", "--level=$(LEVEL)", "--other=$(CFG_COLOUR)"]
      envFrom:
        - { prefix: CFG_, configMapRef: { name: settings } }
        - { prefix: SEC_, secretRef: { name: keys } }
      env:
        - { name: MODE, value: front }
        - { name: TOKEN, valueFrom: { secretKeyRef: { name: x, key: k } } }
        - { name: LEVEL, valueFrom: { configMapKeyRef: { name: settings, key: level } } }
        - { name: URL, value: "pg://$(TOKEN)@db" }
    - name: worker
      image: b
      env: [{ name: KIND, value: worker }]
`;
const settings =
  '---\nkind: ConfigMap\nmetadata: { name: settings }\ndata: { level: high, COLOUR: red, QUIET: x }\n';
const keys = '---\nkind: Secret\nmetadata: { name: keys }\nstringData: { A: hidden }\n';
const ofImage = (name: string) =>
  parseImageConfig(
    JSON.stringify({
      config: {
        Entrypoint: [`/${name}`],
        Cmd: ['run'],
        Env: ['PATH=/bin', `OF_${name}=1`],
        User: '10:10',
        WorkingDir: `/${name}-home`,
      },
    }),
  );

/** What a configuration is generated from. */
const facts = ['image a', 'image b', 'ConfigMap settings', 'Secret keys'] as const;
type Fact = (typeof facts)[number];

const setup: RuntimeSetup = { runtime: 'rs', guest: 'confidential' };

function inputs(missing: Fact | undefined) {
  const text =
    pod + (missing === 'ConfigMap settings' ? '' : settings) + (missing === 'Secret keys' ? '' : keys);
  const images: ImageConfigs = new Map(
    ['a', 'b'].filter((name) => missing !== `image ${name}`).map((name) => [name, ofImage(name)]),
  );
  return { workloads: readWorkloads([{ file: 'pod.yaml', text }]), images };
}

/** A change of a container's process: the container and what is changed, as in the table below. */
interface Change {
  readonly container: string;
  readonly what: string;
  readonly apply: (process: Process) => void;
}

const nameOf = (entry: string): string => entry.split('=', 1)[0] ?? '';

function changesOf(container: string, { Args, Env }: Process): readonly Change[] {
  const own = (what: string, apply: Change['apply']): Change => ({ container, what, apply });
  const values = ['other', ''];
  return [
    ...Args.flatMap((word, index) => [
      ...values.map((value) => own(`word ${index}`, (process) => void (process.Args[index] = value))),
      own(`word ${index}`, (process) => void (process.Args[index] = `${word} `)),
      own('words', (process) => void process.Args.splice(index, 1)),
      own('words', (process) => void process.Args.splice(index, 0, 'more')),
    ]),
    own('words at the end', (process) => void process.Args.push('more')),
    ...Env.flatMap((entry, index) =>
      entry.startsWith('NEIGHBOUR_')
        ? []
        : [
            ...values.map((value) =>
              own(`value of ${nameOf(entry)}`, (process) => {
                process.Env[index] = `${nameOf(entry)}=${value}`;
              }),
            ),
            own(`absence of ${nameOf(entry)}`, (process) => void process.Env.splice(index, 1)),
          ],
    ),
    ...['LD_PRELOAD=/x.so', 'CFG_LD=/x', 'SEC_LD=/x', 'JMX_PORT=9999', 'KUBERNETES_X=1'].map((entry) =>
      own(`new ${nameOf(entry)}`, (process) => void process.Env.push(entry)),
    ),
    own('user', (process) => void (process.User && (process.User.UID = 0))),
    own('group', (process) => void (process.User && (process.User.GID = 0))),
    own('groups', (process) => void process.User?.AdditionalGids.push(6)),
    own('directory', (process) => void (process.Cwd = '/other')),
    own('relative directory', (process) => void (process.Cwd = 'other')),
    own('privileges', (process) => void (process.NoNewPrivileges = true)),
    own('capabilities', (process) => void process.Capabilities?.Effective.push('CAP_SYS_ADMIN')),
  ];
}

/** Without the configuration of an image: what only the image says. */
function openOfImage(container: string, name: string): readonly string[] {
  return [
    'word 0',
    'words',
    'value of PATH',
    `value of OF_${name}`,
    `absence of OF_${name}`,
    'new LD_PRELOAD',
    'new CFG_LD',
    'new SEC_LD',
    'new JMX_PORT',
    'new KUBERNETES_X',
    'user',
    'group',
    'groups',
    'directory',
  ].map((what) => `${container} ${what}`);
}

/** A value of a Secret; and a service need not name its port. */
const always = [
  'web value of SEC_A',
  'web absence of KUBERNETES_SERVICE_PORT_HTTPS',
  'worker absence of KUBERNETES_SERVICE_PORT_HTTPS',
];

/** What each missing fact opens, and nothing else. */
const open: { readonly [F in Fact]: readonly string[] } = {
  'image a': openOfImage('web', 'a'),
  'image b': [
    ...openOfImage('worker', 'b'),
    // Neither the entrypoint nor its arguments are in the pod.
    'worker word 1',
    'worker words at the end',
  ],
  'ConfigMap settings': [
    'web new CFG_LD',
    'web value of CFG_QUIET',
    'web absence of CFG_QUIET',
    'web value of CFG_level',
    'web absence of CFG_level',
  ],
  'Secret keys': ['web new SEC_LD', 'web absence of SEC_A'],
};

const cases = [undefined, ...facts].flatMap((missing) =>
  [true, false].map((explicit) => ({ missing, explicit })),
);

for (const { missing, explicit } of cases) {
  const how = explicit ? '' : ', with a profile';
  void describe(`${missing === undefined ? 'with all facts' : `without ${missing}`}${how}`, () => {
    let plan: Plan;
    let authorizer: OfflineAuthorizer;
    const real = inputs(undefined);
    const calls = real.workloads.flatMap((workload) => expectedCalls(workload, setup, real.images));

    before(async () => {
      const { workloads, images } = inputs(missing);
      plan = generate(workloads, { setup, images, explicit });
      const configuration = await configurationOf(renderPlan(plan, []), async () => createRuleChecker());
      const rules = configuration.api.documents.flatMap((document) => document.rules);
      authorizer = offlineAuthorizer(configuration, compileRules(rules));
    });

    const creates = calls.filter(({ method, container }) => method === 'CreateContainer' && container !== '');
    const refusal = (call: ExpectedCall, change: Change['apply']): string | undefined => {
      assert.ok(isMessage(call.request, CreateContainerRequestSchema));
      const request = clone(CreateContainerRequestSchema, call.request);
      assert.ok(request.OCI?.Process !== undefined);
      change(request.OCI.Process);
      const view = new SandboxView(authorizer.listeners);
      for (const earlier of calls.slice(0, calls.indexOf(call))) view.happened(earlier);
      return authorizer.decide(
        'CreateContainer',
        request,
        view.context({ method: 'CreateContainer', request }),
      ).rule;
    };

    test('the pod runs', () => {
      for (const call of creates)
        assert.equal(
          refusal(call, () => undefined),
          undefined,
          call.container,
        );
    });

    test('every change is denied but those that the missing fact opens, for its container alone', () => {
      const expected = new Set([...always, ...(missing === undefined ? [] : open[missing])]);
      const allowed = new Set<string>();
      let tried = 0;
      for (const call of creates) {
        assert.ok(isMessage(call.request, CreateContainerRequestSchema));
        const process = call.request.OCI?.Process;
        assert.ok(process !== undefined);
        for (const { container, what, apply } of changesOf(call.container ?? '', process)) {
          tried += 1;
          if (refusal(call, apply) === undefined) allowed.add(`${container} ${what}`);
        }
      }
      assert.ok(tried > 100, String(tried));
      assert.deepEqual([...allowed].sort(), [...expected].sort());
    });

    test('a variable that arguments and other variables refer to has one value everywhere', () => {
      const [web] = creates;
      assert.ok(web !== undefined);
      const withToken = (token: string, ofArgs = token, ofUrl = token): string | undefined =>
        refusal(web, (process) => {
          process.Args = process.Args.map((word) =>
            word.replace(/^--token=.*!$/, () => `--token=${ofArgs}!`),
          );
          process.Env = process.Env.map((entry) =>
            entry.startsWith('TOKEN=')
              ? `TOKEN=${token}`
              : entry.startsWith('URL=')
                ? `URL=pg://${ofUrl}@db`
                : entry,
          );
        });
      assert.equal(withToken('sésame\n$(x) "'), undefined);
      assert.notEqual(withToken('a', 'b'), undefined);
      assert.notEqual(withToken('a', 'a', 'b'), undefined);
    });

    test('what is open is named, by container and field', () => {
      const named = plan.open.map(({ container, fields }) => `${container}: ${fields.join(', ')}`);
      const ofPod = ['web: env URL, args[0]', 'web: env TOKEN'];
      const secret = 'web: env SEC_A';
      const more: { readonly [F in Fact]: readonly string[] } = {
        'image a': [
          'web: env, user, group of the user, supplementary groups, command, workingDir, stop signal',
          secret,
        ],
        'image b': [
          'worker: env, user, group of the user, supplementary groups, command, args, workingDir, stop signal',
          secret,
        ],
        'ConfigMap settings': [
          'web: args[1]',
          'web: args[2]',
          'web: env LEVEL',
          'web: envFrom[0], variables CFG_*',
          secret,
        ],
        'Secret keys': ['web: envFrom[1], variables SEC_*'],
      };
      assert.deepEqual(
        [...named].sort(),
        [...ofPod, ...(missing === undefined ? [secret] : more[missing])].sort(),
      );
    });
  });
}
