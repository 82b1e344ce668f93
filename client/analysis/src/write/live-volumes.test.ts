import assert from 'node:assert/strict';
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
