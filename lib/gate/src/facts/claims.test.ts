import assert from 'node:assert/strict';
import { test } from 'node:test';
import { claimedName, claimedNames } from './claims.js';

/** As containerd's CRI plug-in writes them. */
const containerd = {
  'io.kubernetes.cri.container-type': 'container',
  'io.kubernetes.cri.container-name': 'web',
  'io.kubernetes.cri.sandbox-name': 'shop',
};

/** As CRI-O writes them, of a container and of its pod's pause container. */
const crio = (name: string): Record<string, string> => ({
  'io.kubernetes.container.name': name,
  'io.kubernetes.pod.name': 'shop',
  'io.kubernetes.cri-o.ContainerName': `k8s_${name}_shop_default_aaaa2b4a-f398-41c0-928b-049e1cc4ec40_0`,
});

test('the name of a container is where containerd or CRI-O put it', () => {
  assert.deepEqual(claimedNames(containerd), { inPod: 'web', ofEngine: '' });
  assert.deepEqual(claimedNames(crio('web')), {
    inPod: 'web',
    ofEngine: 'k8s_web_shop_default_aaaa2b4a-f398-41c0-928b-049e1cc4ec40_0',
  });
  assert.equal(
    claimedName({ 'io.kubernetes.container.name': 'db', 'io.kubernetes.cri.container-name': 'web' }),
    'web',
  );
});

test("the engine's own name is none in the pod", () => {
  assert.equal(claimedName({ 'io.kubernetes.cri-o.ContainerName': 'k8s_web_shop_default_u_0' }), '');
});

test('the pause container and a container without annotations have no name', () => {
  assert.equal(claimedName(crio('POD')), '');
  assert.equal(claimedName({ 'io.kubernetes.cri.container-type': 'sandbox' }), '');
  assert.deepEqual(claimedNames({}), { inPod: '', ofEngine: '' });
});
