import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { describe, it } from 'node:test';
import { AgentProcess } from '../harness/agent-process.js';
import { DeliverySources } from '../harness/delivery-sources.js';
import { whyNoContainers } from '../harness/rootfs.js';

const rootHash = 'ab'.repeat(32);
const word = `kata.extension.devkit.verity_params=root_hash=${rootHash},salt=00,data_blocks=1`;
const api = '[api]\nallowed_endpoints = ["@pod"]\n';
const listed = `[agent]\nextensions = ["devkit=sha256:${rootHash}"]\n${api}`;

/** Runs work in a guest whose kernel command line has these words. */
async function withKernelCommandLine<T>(words: string, work: (setup: string) => Promise<T>): Promise<T> {
  const guest = new DeliverySources().kernelCommandLine(`quiet ${words}\n`);
  try {
    return await work(guest.setup);
  } finally {
    guest.dispose();
  }
}

describe('guest extension images under another init', { skip: whyNoContainers() ?? false }, () => {
  const refused: readonly (readonly [config: string, words: string, message: RegExp])[] = [
    [api, word, /extension image devkit with root hash (ab){32} is refused\\nhelp: remove it/],
    [listed, word.replace('devkit', 'gpu'), /extension image gpu with root hash (ab){32} is refused/],
    [listed, word.replace('=ab', '=cb'), /extension image devkit with root hash cb(ab){31} is refused/],
    [listed, 'kata.extension.devkit.verity_params', /extension image devkit is refused: it has no dm-verity/],
    [listed, `${word} ${word}`, /extension image devkit is on the kernel command line twice/],
  ];
  for (const [config, words, message] of refused)
    it(`the agent does not start: ${message.source}`, () =>
      withKernelCommandLine(words, async (setup) => {
        const { code, stderr } = await AgentProcess.run({ config, setup });
        assert.equal(code, 3, stderr);
        assert.match(stderr, message);
        assert.doesNotMatch(stderr, /"msg":"listening"/);
      }));

  it('one that no unit of the image has mounted is mounted by the agent, which ends without its disk', () =>
    withKernelCommandLine(word, async (setup) => {
      const { code, stderr } = await AgentProcess.run({ config: listed, setup });
      assert.equal(code, 3, stderr);
      assert.match(
        stderr,
        /extension image devkit: there is no disk with the serial number extension-devkit/,
      );
    }));

  it('one that the configuration lists is in the boot record', () =>
    withKernelCommandLine(word, async (setup) => {
      const place = '/run/kata-extensions/devkit';
      const mounted = `${setup} && mkdir -p ${place} && mount -t tmpfs kata-test ${place}`;
      const agent = await AgentProcess.start({ config: listed, setup: mounted });
      try {
        const [first = ''] = readFileSync(agent.auditLog, 'utf8').split('\n');
        const { facts } = JSON.parse(first) as { readonly facts: { readonly extensions?: unknown } };
        assert.deepEqual(facts.extensions, [{ name: 'devkit', rootHash }]);
      } finally {
        await agent.dispose();
      }
    }));
});
