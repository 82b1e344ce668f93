import assert from 'node:assert/strict';
import { test } from 'node:test';
import { create } from '@bufbuild/protobuf';
import {
  GuestDetailsResponseSchema,
  MetricsSchema,
  StatsContainerResponseSchema,
} from '@kata-agent/protocol/agent';
import { DescribeResponseSchema } from '@kata-agent/protocol/management';
import { Code, TtrpcError } from '@kata-agent/ttrpc';
import { runProgram } from '@kata-agent/cli';
import { type FakeIo, fakeIo } from '@kata-agent/cli/testing/fake-io';
import { program } from './program.js';
import { startFakeAgent } from './testing/fake-agent.js';

/** Clears the screen by ESC and by one character of C1, sets the title, turns the writing around, and begins a line. */
const hostile =
  'x\u001b[2J\u009b2J\u001b]0;title\u0007\u202egnp.\u2028y\r\nconfiguration  sha256:trusted\u007f';

/** Runs a command with an agent that puts the text into each string of its answers. */
async function ctl(...argv: readonly string[]): Promise<FakeIo> {
  const agent = await startFakeAgent(
    {},
    {
      getGuestDetails: async () =>
        create(GuestDetailsResponseSchema, {
          agentDetails: { version: hostile, storageHandlers: [hostile], extraFeatures: [hostile] },
        }),
      statsContainer: async () => create(StatsContainerResponseSchema, { networkStats: [{ name: hostile }] }),
      getMetrics: async () => create(MetricsSchema, { metrics: hostile }),
      pauseContainer: () => Promise.reject(new TtrpcError(Code.Internal, hostile)),
    },
    {
      describe: async () =>
        create(DescribeResponseSchema, {
          version: hostile,
          bootId: hostile,
          configurationDigest: hostile,
          documents: [{ file: hostile, source: hostile, sha256: hostile }],
          listeners: [{ name: hostile, address: hostile, methods: [hostile], management: [hostile] }],
        }),
    },
    { grpcVersion: hostile, agentVersion: hostile },
  );
  const io = fakeIo({ KATA_AGENT_ADDRESS: agent.address });
  io.stdin.end();
  try {
    await runProgram(program, argv, io);
    return io;
  } finally {
    await agent.close();
  }
}

const controls = /[\u0000-\u0009\u000b-\u001f\u007f-\u009f\u061c\u200e\u200f\u2028-\u202e\u2066-\u2069]/u;

for (const argv of [
  ['describe'],
  ['guest'],
  ['version'],
  ['stats', 'web'],
  ['call', 'GetMetrics'],
  ['call', 'GetGuestDetails'],
  ['pause', 'web'],
])
  for (const format of argv[0] === 'pause' ? [[], ['--format', 'json']] : [[], ['--format', 'json']])
    test(`no answer of an agent reaches the terminal as commands: ${[...argv, ...format].join(' ')}`, async () => {
      const { stdout, stderr } = await ctl(...argv, ...format);
      const text = stdout.text + stderr.text;
      assert.match(text, /title/);
      assert.doesNotMatch(text, controls);
      // It begins no line of its own either.
      assert.doesNotMatch(text, /^configuration {2}sha256:trusted/m);
      if (format.length > 0) {
        const [value] = [stdout.text, stderr.text].filter((each) => each !== '');
        assert.ok(JSON.stringify(JSON.parse(value ?? '')).includes('title'));
      }
    });

test('JSON has the texts of an agent unchanged', async () => {
  const { stdout } = await ctl('call', 'GetMetrics');
  assert.deepEqual(JSON.parse(stdout.text), { metrics: hostile });
});
