import assert from 'node:assert/strict';
import { cpSync, mkdirSync, readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { after, describe, it, test } from 'node:test';
import { parse as parseYaml } from 'yaml';
import { hasExcerpt, pageBlocks } from '../harness/guide.js';
import { GuideDirectory } from '../harness/guide-directory.js';
import { whyWithout } from '../harness/prerequisites.js';
import { RealmHome, RealmProcess } from '../harness/realm-process.js';
import { repository } from '../harness/repository.js';

const example = join(repository, 'examples/attested-pod');
const filesOf = (directory: string): readonly string[] =>
  readdirSync(directory, { recursive: true, withFileTypes: true })
    .filter((entry) => entry.isFile())
    .map((entry) => join(entry.parentPath, entry.name));

/** Returns a directory for the commands of the page, with a copy of the files. */
function copied(): GuideDirectory {
  const directory = new GuideDirectory();
  cpSync(example, directory.path, { recursive: true });
  after(() => directory.dispose());
  return directory;
}

const annotate =
  'kata-agent-ctl annotate -f pod.yaml --pin --images lock --base base.toml --document tenant.toml --operators tenant --aa aa.toml --cdh cdh.toml';

describe('the guide “From a pod to an attested pod”', () => {
  const blocks = pageBlocks('docs/attested-pod.md');
  const withoutContainerd = whyWithout('containerd');

  it('runs every command, but for those that need what this machine does not have: these', () => {
    assert.deepEqual(
      blocks.flatMap(({ needs, text }) =>
        needs === undefined ? [] : [`${needs}: ${text.split('\n')[1]?.split(' -')[0]}`],
      ),
      [
        'a registry: kata-agent-ctl config pin',
        'kubectl: kubectl apply',
        'a node with Kata: kata=/opt/kata/share/defaults/kata-containers',
        'containerd 2: containerd',
        "containerd's service: install",
        'opa: opa check',
        'Trustee: rvps-tool register',
        'kubectl: kubectl apply',
        'SEV-SNP: kata-agent-ctl attest',
        'guests that dial it: kata-realm serve',
        'SEV-SNP: kata-agent-ctl ps',
      ],
    );
  });

  it('its commands succeed in their order, and print what it shows; what it shows of files is in them', (context) => {
    const directory = copied();
    const runs = blocks.filter(({ language, needs }) => language === 'sh' && needs === undefined);
    assert.ok(runs.length >= 12, String(runs.length));
    let output = '';
    for (const { language, text, needs } of blocks) {
      if (needs !== undefined) continue;
      if (language === 'sh') {
        if (text.startsWith('containerd ') && withoutContainerd !== undefined) {
          context.diagnostic(withoutContainerd);
          output = '';
          continue;
        }
        const run = directory.run(text);
        assert.equal(run.status, 0, `${text}\n${run.output}`);
        output = run.output;
      } else if (language === 'text') {
        if (output !== '') assert.ok(hasExcerpt(output, text), `${text}\nis not in\n${output}`);
      } else {
        // Part of a TOML file: what the pages have as `toml` is a whole configuration, which another test loads.
        const extension = language === 'ini' ? '.toml' : `.${language}`;
        const files = filesOf(directory.path).filter((path) => path.endsWith(extension));
        assert.ok(
          files.some((path) => hasExcerpt(readFileSync(path, 'utf8'), text)),
          `no ${extension} file has\n${text}`,
        );
      }
    }
  });

  it('an excerpt that differs is found', () => {
    assert.ok(hasExcerpt('a\n  b = 1\nc\n', '  b = …\nc\n'));
    assert.ok(!hasExcerpt('a\n  b = 1\nc\n', '  b = 2\n'));
    assert.ok(!hasExcerpt('a\n  b.c\n', '  b+c\n'));
  });
});

describe('the files of an attested pod', () => {
  it('name one runtime, from the pod to Kata', () => {
    const read = (name: string): string => readFileSync(join(example, name), 'utf8');
    const { spec } = parseYaml(read('pod.yaml')) as { readonly spec: { readonly runtimeClassName: string } };
    const runtimeClass = parseYaml(read('host/runtime-class.yaml')) as {
      readonly handler: string;
      readonly metadata: { readonly name: string };
    };
    assert.equal(runtimeClass.metadata.name, spec.runtimeClassName);
    // The files of both releases differ in the version and the name of the plugin.
    const second = read('host/containerd-2.toml');
    assert.match(second, new RegExp(`^\\[plugins\\..*\\.runtimes\\.${runtimeClass.handler}\\]$`, 'm'));
    assert.equal(
      second
        .replace('containerd 2:', 'containerd 1.7:')
        .replace('version = 3', 'version = 2')
        .replaceAll('io.containerd.cri.v1.runtime', 'io.containerd.grpc.v1.cri'),
      read('host/containerd-1.7.toml'),
    );
  });

  it('for the key broker are what the command writes for the pod', () => {
    const directory = copied();
    const { status, output } = directory.run(
      `${annotate} --runtime rs --guest confidential > annotated.yaml
      kata-agent-ctl evidence trustee --reference values.json --initdata annotated.yaml --resource default/orders/db-password --out made`,
    );
    assert.equal(status, 0, output);
    const read = (path: string): string => readFileSync(path, 'utf8');
    const outdated =
      'run the commands of docs/attested-pod.md for examples/attested-pod, and copy the result to its trustee/';
    const [made, own] = [join(directory.path, 'made'), join(example, 'trustee')];
    const name = 'resource-policy.rego';
    assert.equal(read(join(made, name)), read(join(own, name)), outdated);
    const message = (path: string): unknown => JSON.parse(read(join(path, 'rvps-message.json')));
    assert.deepEqual(message(made), message(own), outdated);
  });

  it('for Kata give the options of the guide', () => {
    const directory = copied();
    const kata = join(directory.path, 'kata');
    mkdirSync(join(kata, 'config.d'), { recursive: true });
    cpSync(join(example, 'host/kata.toml'), join(kata, 'config.d/60-attested.toml'));
    const own = '[hypervisor.qemu]\nsev_snp_guest = true\n[runtime]\nname = "virt_container"\n';
    writeFileSync(join(kata, 'configuration.toml'), own);
    const show = (options: string): string => {
      const command = `${annotate} ${options} > annotated.yaml; kata-agent-ctl config show annotated.yaml --file kata-agent.toml`;
      const { status, output } = directory.run(command);
      assert.equal(status, 0, output);
      return output;
    };
    assert.equal(
      show('--kata-config kata/configuration.toml'),
      show('--runtime rs --guest confidential --emptydir-mode block-encrypted'),
    );
  });
});

test('a realm starts with the authorization and the reference values of the attested pod', async () => {
  const home = new RealmHome(readFileSync(join(example, 'dial/realm.toml'), 'utf8'));
  try {
    const realm = await RealmProcess.start(home, ['--reference', join(example, 'values.json')], {
      attested: true,
    });
    assert.equal(await realm.stop(), 0);
  } finally {
    home.remove();
  }
});
