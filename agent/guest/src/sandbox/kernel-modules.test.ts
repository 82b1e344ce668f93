import assert from 'node:assert/strict';
import { test } from 'node:test';
import { openAccess } from '../guest-access.js';
import { checkKernelModules } from './kernel-modules.js';

const access = {
  privileged: 'refuse',
  modules: [
    { name: 'ib_core', parameters: [] },
    { name: 'nf-conntrack', parameters: ['hashsize=65536', 'acct=1'] },
  ],
} as const;

const module = (name: string, ...parameters: readonly string[]) => ({ name, parameters });

test('only modules of the configuration pass, with exactly their parameters', () => {
  checkKernelModules(
    [module('ib-core'), module('ib_core'), module('nf_conntrack', 'hashsize=65536', 'acct=1')],
    access,
  );
  for (const wrong of [
    module('ib_core', 'x=1'),
    module('nf_conntrack'),
    module('nf_conntrack', 'hashsize=65536'),
    module('nf_conntrack', 'acct=1', 'hashsize=65536'),
    module('nf_conntrack', 'hashsize=65536', 'acct=1', 'acct=1'),
    module('nf_conntrack', 'hashsize=65537', 'acct=1'),
    module('IB_core'),
    module('rdma'),
  ]) {
    // An allowed module does not allow another one.
    assert.throws(() => checkKernelModules([module('ib_core'), wrong], access), { kind: 'refused' });
    checkKernelModules([wrong], openAccess);
  }
  assert.throws(() => checkKernelModules([module('rdma', 'a=1')], access), {
    message: 'kernel module "rdma a=1" is refused; help: add it to kernel_modules = ["rdma a=1"]',
  });
});

test('words that modprobe would parse differently are refused under any configuration', () => {
  for (const wrong of [
    module('-r'),
    module('--show-exports=x'),
    module('../x'),
    module('/tmp/x.ko'),
    module('x y'),
    module(''),
    module('ib_core', '-f'),
    module('ib_core', 'a="b"'),
    module('ib_core', 'a=1 b=2'),
    module('ib_core', '--force'),
  ])
    for (const each of [access, openAccess])
      assert.throws(() => checkKernelModules([wrong], each), { kind: 'invalid' }, JSON.stringify(wrong));
});
