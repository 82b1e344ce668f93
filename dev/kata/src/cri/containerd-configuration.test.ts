import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { PartSkipped } from '../plan/part.js';
import {
  containerdConfiguration,
  containerdRelease,
  ctrFailure,
  importArguments,
  networkConfiguration,
  supportedRelease,
} from './containerd-configuration.js';

const options = {
  work: '/work',
  socket: '/work/containerd.sock',
  kata: '/work/kata.toml',
  snapshotter: 'native',
  network: { plugins: '/work/network/bin', configurations: '/work/network/configuration' },
} as const;

describe('the release of containerd', () => {
  const known: readonly [text: string, major: number, minor: number][] = [
    ['containerd github.com/containerd/containerd 1.7.24~ds1 1.7.24~ds1-6+deb13u1', 1, 7],
    ['containerd containerd.io 1.7.27 05044ec0a9a75232cad458027ca83437aae3f4da', 1, 7],
    ['containerd github.com/containerd/containerd/v2 v2.3.1 75cb2b7193e4e490e9fbdc236c0e811ccaba3376', 2, 3],
    ['containerd containerd.io v2.0.0 207ad711eabd375a01713109a8a197d197ff6542', 2, 0],
  ];
  for (const [text, major, minor] of known)
    it(text, () => assert.deepEqual(containerdRelease(text), { major, minor }));

  it('is unknown, or too old for Kata: the part is skipped', () => {
    assert.equal(containerdRelease('runc version 1.1.15'), undefined);
    for (const text of ['', 'containerd containerd.io 1.6.33 d2d58213f83a351ca8f528a95fbd145f5654e957'])
      assert.throws(() => supportedRelease(text), PartSkipped, text);
  });
});

describe('the configuration of containerd', () => {
  const sections = (text: string): readonly string[] =>
    text.split('\n').filter((line) => line.startsWith('['));

  it('has version 2 for 1.7', () => {
    const text = containerdConfiguration({ major: 1, minor: 7 }, options);
    assert.match(text, /^version = 2\n/);
    assert.deepEqual(sections(text), [
      '[grpc]',
      '[plugins."io.containerd.internal.v1.opt"]',
      '[plugins."io.containerd.grpc.v1.cri"]',
      '[plugins."io.containerd.grpc.v1.cri".cni]',
      '[plugins."io.containerd.grpc.v1.cri".containerd]',
      '[plugins."io.containerd.grpc.v1.cri".containerd.runtimes.kata]',
      '[plugins."io.containerd.grpc.v1.cri".containerd.runtimes.kata.options]',
    ]);
    assert.match(text, /^sandbox_image = "docker\.io\/library\/kata-pause:1"$/m);
    assert.match(text, /^bin_dir = "\/work\/network\/bin"$/m);
  });

  it('has version 3 for 2, with the sections of its own plugins', () => {
    const text = containerdConfiguration({ major: 2, minor: 3 }, options);
    assert.match(text, /^version = 3\n/);
    assert.deepEqual(sections(text), [
      '[grpc]',
      '[plugins."io.containerd.internal.v1.opt"]',
      '[plugins."io.containerd.cri.v1.images"]',
      '[plugins."io.containerd.cri.v1.images".pinned_images]',
      '[plugins."io.containerd.cri.v1.runtime"]',
      '[plugins."io.containerd.cri.v1.runtime".cni]',
      '[plugins."io.containerd.cri.v1.runtime".containerd]',
      '[plugins."io.containerd.cri.v1.runtime".containerd.runtimes.kata]',
      '[plugins."io.containerd.cri.v1.runtime".containerd.runtimes.kata.options]',
    ]);
    assert.match(text, /^sandbox = "docker\.io\/library\/kata-pause:1"$/m);
    assert.match(text, /^bin_dirs = \["\/work\/network\/bin"\]$/m);
    assert.doesNotMatch(text, /grpc\.v1\.cri|bin_dir =/);
  });

  it('has one directory of plugins for 2.0', () => {
    assert.match(
      containerdConfiguration({ major: 2, minor: 0 }, options),
      /^bin_dir = "\/work\/network\/bin"$/m,
    );
  });
});

it('a network has not the name of its plugin’s file', () => {
  assert.ok(networkConfiguration.plugins.every(({ type }) => type !== networkConfiguration.name));
});

describe('ctr', () => {
  it('imports by itself with containerd 2', () => {
    assert.deepEqual(importArguments({ major: 1, minor: 7 }, 'native', 'i.tar').slice(2), [
      '--snapshotter',
      'native',
      'i.tar',
    ]);
    assert.equal(importArguments({ major: 2, minor: 0 }, 'native', 'i.tar')[2], '--local');
  });

  it('has not failed if it warns', () => {
    const warning = 'time="2026-11-30T10:00:00Z" level=warning msg="cgroup v1 is deprecated"\n';
    assert.equal(ctrFailure(0, warning), undefined);
    assert.equal(ctrFailure(1, `${warning}ctr: image not found\n`), 'ctr: image not found');
    assert.equal(ctrFailure(1, 'WARN[0000] deprecated\n'), 'exit code 1');
    assert.equal(ctrFailure(null, ''), 'exit code none');
  });
});
