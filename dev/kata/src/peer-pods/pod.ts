// The pod of the part `remote`, with a volume of each kind that a guest without a shared directory handles by itself.
import type { Manifests, Pod } from '../workloads/manifests.js';

export const manifests: Manifests = {
  pods: [],
  configMaps: new Map([['settings', { colour: 'green\n' }]]),
  secrets: new Map(),
};

/** Its image is given to the runner. */
export const pod: Pod = {
  metadata: { name: 'peer-pod' },
  spec: {
    dnsPolicy: 'None',
    dnsConfig: { nameservers: ['192.0.2.53'] },
    containers: [
      {
        name: 'main',
        command: ['/bin/sh', '-c', 'trap "exit 3" TERM; echo started $COLOR; while :; do sleep 0.1; done'],
        env: [{ name: 'COLOR', value: 'green' }],
        resources: { limits: { memory: '64Mi' } },
        volumeMounts: [
          { name: 'settings', mountPath: '/settings' },
          { name: 'scratch', mountPath: '/scratch' },
        ],
      },
    ],
    volumes: [
      { name: 'settings', configMap: { name: 'settings' } },
      { name: 'scratch', emptyDir: {} },
    ],
  },
};
