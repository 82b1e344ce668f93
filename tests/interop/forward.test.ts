import assert from 'node:assert/strict';
import { suite, test } from 'node:test';

import { methodNames } from '@kata-agent/catalogue';

import { AgentProcess } from '../harness/agent-process.js';
import { InnerAgentProcess } from '../harness/inner-agent.js';
import { build } from './artifacts.js';
import { output } from './child.js';
import { isRecord } from './is-record.js';

const built = build('kata.binpb', 'agent-client', 'inner-agent');

/** Methods whose empty request is not forwarded. */
const refused: ReadonlyMap<string, string> = new Map([
  ...[
    'AddARPNeighbors',
    'AddSwap',
    'AddSwapPath',
    'CopyFile',
    'CreateContainer',
    'ExecProcess',
    'GetVolumeStats',
    'ResizeVolume',
    'SetPolicy',
    'UpdateInterface',
    'UpdateRoutes',
  ].map((method) => [method, 'INVALID_ARGUMENT'] as const),
  ['GetDiagnosticData', 'PERMISSION_DENIED'],
  ['SetIPTables', 'UNIMPLEMENTED'],
]);

suite("Go's client and Go's server, with forward mode in between", {
  skip: built.ok ? false : built.missing,
}, () => {
  test('the client calls all methods, and the server has answered each whose empty request is one', async () => {
    if (!built.ok) return;
    const inner = new InnerAgentProcess(built);
    await inner.start();
    const config = `[agent]\nforward = "${inner.address}"\nprivileged_containers = "allow"\n[api]\nallowed_endpoints = ["*"]\n`;
    const agent = await AgentProcess.start({ config });
    try {
      const args = ['-descriptors', built.path('kata.binpb'), '-address', agent.socketPath, 'sweep'];
      const answers: unknown = JSON.parse(await output(built.path('agent-client'), args));
      assert.ok(isRecord(answers));
      for (const method of [...methodNames, 'Check', 'Version']) {
        const answer: unknown = answers[method];
        assert.ok(isRecord(answer), method);
        assert.equal(answer['code'], refused.get(method) ?? 'OK', method);
      }
      assert.deepEqual(
        [...new Set(inner.calls)].toSorted(),
        methodNames.filter((method) => !refused.has(method)).toSorted(),
      );
    } finally {
      await agent.dispose();
      await inner.dispose();
    }
  });
});
