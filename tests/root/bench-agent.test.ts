import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { describe, it } from 'node:test';
import { repository } from '../harness/repository.js';
import { whyNoContainers } from '../harness/rootfs.js';

const goPackages = ['golang-go', 'golang-github-containerd-ttrpc-dev', 'golang-google-protobuf-dev'];

interface Row {
  readonly what: string;
  readonly ours: number;
  readonly against: { readonly name: string; readonly value: number };
}

/** Runs the benchmark with a peer that is this shell script. */
function runWithPeer(script: string) {
  const directory = mkdtempSync(join(tmpdir(), 'kata-bench-test-'));
  try {
    const peer = join(directory, 'peer');
    writeFileSync(peer, `#!/bin/sh\nset -e\n${script}\n`, { mode: 0o755 });
    const options = ['--quick', '--only', 'agent', '--agent', peer, '--format', 'json'];
    return spawnSync(process.execPath, [join(repository, 'bench/dist/main.js'), ...options], {
      encoding: 'utf8',
      timeout: 300_000,
    });
  } finally {
    rmSync(directory, { recursive: true });
  }
}

describe('the agent benchmark', { skip: whyNoContainers('runc', 'crun', ...goPackages) ?? false }, () => {
  it('measures a peer by its path, which finds empty disks, its policy and a /run of its own', () => {
    // Our own bundle: the benchmark makes it before it starts a peer.
    const { status, stdout, stderr } = runWithPeer(`
grep -q '^default CreateContainerRequest := true$' /etc/kata-opa/default-policy.rego
for file in /dev/*; do test ! -b "$file"; done
test ! -e /run/kata-agent
umask 077
cat >/run/peer.toml <<END
[agent]
oci_runtime = "$(command -v crun)"
privileged_containers = "allow"
[api]
allowed_endpoints = ["*"]
END
exec '${process.execPath}' '${repository}build/bundle/kata-agent.cjs' -c /run/peer.toml`);
    assert.equal(status, 0, stdout + stderr);
    const rows = JSON.parse(stdout) as readonly Row[];
    assert.ok(rows.length > 20);
    for (const { what, ours, against } of rows) {
      assert.equal(against.name, 'peer', what);
      assert.ok(ours > 0 && against.value > 0, what);
    }
  });

  it('fails with the output of a peer that ends', () => {
    const { status, stderr } = runWithPeer('echo no such luck; exit 3');
    assert.equal(status, 1);
    assert.match(stderr, /^bench-agent: the agent ended before it answered\nno such luck$/m);
  });
});
