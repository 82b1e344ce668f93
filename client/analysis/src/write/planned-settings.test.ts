import assert from 'node:assert/strict';
import { createHash } from 'node:crypto';
import { test } from 'node:test';
import { readWorkloads, type RuntimeSetup } from '@kata-agent/workloads';
import { generate } from '../generate/generate.js';
import { configurationOf } from '../testing/configuration-of.js';
import { renderPlan } from './render-plan.js';

const pod = `
apiVersion: v1
kind: Pod
metadata: { name: shop }
spec:
  containers:
    - name: web
      image: registry.example/web:1
      volumeMounts:
        - { name: data, mountPath: /data }
        - { name: logs, mountPath: /logs }
        - { name: cache, mountPath: /cache }
        - { name: labels, mountPath: /labels }
        - { name: settings, mountPath: /settings }
  volumes:
    - { name: data, persistentVolumeClaim: { claimName: data } }
    - { name: logs, hostPath: { path: /var/log/web } }
    - { name: cache, emptyDir: {} }
    - { name: labels, downwardAPI: { items: [{ path: l, fieldRef: { fieldPath: metadata.labels } }] } }
    - { name: settings, configMap: { name: settings } }
`;

function textOf(setup: RuntimeSetup): string {
  return renderPlan(
    generate(readWorkloads([{ file: 'pod.yaml', text: pod }]), { setup, images: new Map() }),
    [],
  );
}

test('volumes that the host shares as they are, and in which Kubernetes needs no links, are offered for nosymfollow', async () => {
  const go = textOf({ runtime: 'go', guest: 'shared-fs' });
  assert.match(go, /^# nosymfollow = \["web=\/data", "web=\/logs"\]$/m);
  assert.match(
    textOf({ runtime: 'rs', guest: 'shared-fs' }),
    /^# nosymfollow = \["web=\/data", "web=\/logs", "web=\/cache"\]$/m,
  );
  assert.ok(!textOf({ runtime: 'go', guest: 'confidential' }).includes('nosymfollow'));
  const { settings } = await configurationOf(go.replace('# nosymfollow', 'nosymfollow'));
  assert.deepEqual(settings.nosymfollow, ['web=/data', 'web=/logs']);
});

const sealed = (payload: object): string =>
  `sealed.e30.${Buffer.from(JSON.stringify(payload)).toString('base64url')}.c2ln`;

const vault = (name: string): string => sealed({ version: '0.1.0', type: 'vault', provider: 'kbs', name });

const [one, two, three] = ['kbs:///a/b/1', 'kbs:///a/b/2', 'kbs:///a/b/3'] as const;

const envelope = sealed({ version: '0.1.0', type: 'envelope', provider: 'kbs', key_id: one });

const base64 = (text: string): string => Buffer.from(text).toString('base64');

const objects = `
apiVersion: v1
kind: Secret
metadata: { name: keys }
data:
  tls.key: ${base64(vault(one))}
  plain: ${base64('a password')}
stringData:
  envelope: ${envelope}
---
apiVersion: v1
kind: ConfigMap
metadata: { name: settings }
data: { TOKEN: ${vault(two)}, COLOR: blue, BROKEN: sealed.of-the-envelope }
---
apiVersion: v1
kind: Pod
metadata: { name: shop }
spec:
  hostAliases:
    - { ip: 10.1.2.3, hostnames: [Db.example, cache.example] }
    - { ip: 10.1.2.4, hostnames: [db.example] }
    - { ip: 10.9.9.9, hostnames: [localhost] }
  containers:
    - name: db
      image: registry.example/db:1
      env:
        - { name: DIRECT, value: ${vault(three)} }
        - { name: KEY, valueFrom: { secretKeyRef: { name: keys, key: tls.key } } }
        - { name: PLAIN, valueFrom: { secretKeyRef: { name: keys, key: plain } } }
        - { name: X_TOKEN, value: not sealed }
      envFrom:
        - { prefix: X_, configMapRef: { name: settings } }
        - { prefix: Y_, configMapRef: { name: settings } }
      volumeMounts:
        - { name: keys, mountPath: /etc/keys/ }
        - { name: all, mountPath: /etc/all }
        - { name: keys, mountPath: /etc/one.key, subPath: tls.key }
        - { name: all, mountPath: /etc/part, subPath: sub/ }
    - name: web
      image: registry.example/web:1
      volumeMounts:
        - { name: keys, mountPath: /srv, subPath: plain }
  volumes:
    - name: keys
      secret: { secretName: keys }
    - name: all
      projected:
        sources:
          - secret: { name: keys, items: [{ key: envelope, path: sub/dir/envelope }] }
          - configMap: { name: settings, items: [{ key: TOKEN, path: token }, { key: COLOR, path: color }] }
`;

const text = renderPlan(
  generate(readWorkloads([{ file: 'pod.yaml', text: objects }]), {
    setup: { runtime: 'go', guest: 'shared-fs' },
    images: new Map(),
  }),
  ['A test.'],
);

test('sealed secrets of a pod and its objects are unsealed in their places alone', async () => {
  const { secrets } = await configurationOf(text);
  const sha256 = createHash('sha256').update(envelope).digest('hex');
  const env = (name: string, resource: string) => ({
    container: 'db',
    place: { kind: 'env', name },
    resource,
  });
  const file = (path: string, binding: object) => ({
    container: 'db',
    place: { kind: 'file', path },
    ...binding,
  });
  assert.deepEqual(secrets, [
    env('Y_TOKEN', two),
    env('DIRECT', three),
    env('KEY', one),
    file('/etc/keys/tls.key', { resource: one }),
    file('/etc/keys/envelope', { sha256 }),
    file('/etc/all/sub/dir/envelope', { sha256 }),
    file('/etc/all/token', { resource: two }),
    file('/etc/one.key', { resource: one }),
    file('/etc/part/dir/envelope', { sha256 }),
  ]);
  assert.match(text, /# containers\[0\]\.env\[1\]\n\[\[secret\]\]\ncontainer = "db"\nenv = "KEY"\n/);
  assert.ok(!text.includes('a password') && !text.includes(base64('a password')));
});

test('hostAliases are those of host_aliases, but for localhost', async () => {
  const { settings } = await configurationOf(text);
  assert.deepEqual(settings.hostAliases, {
    'db.example': ['10.1.2.3', '10.1.2.4'],
    'cache.example': ['10.1.2.3'],
  });
});
