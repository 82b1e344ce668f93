import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, describe, it } from 'node:test';
import { pathToFileURL } from 'node:url';
import { configurationSchema, starters } from '@kata-agent/analysis';
import { exampleFiles } from '@kata-agent/analysis/testing/example-files';
import { repository } from '../harness/repository.js';
import { generatedFor, images, setups, workloadFiles, workloadsIn } from '../mutation/expected-requests.js';

const program = createRequire(import.meta.url).resolve('@taplo/cli/dist/cli.js');

describe('Taplo, with which editors format and check TOML', () => {
  let directory = '';
  let schema = '';
  const files: string[] = [];
  const { configurations, ofOthers } = exampleFiles();
  before(() => {
    directory = mkdtempSync(join(tmpdir(), 'kata-taplo-'));
    schema = join(directory, 'schema.json');
    writeFileSync(schema, JSON.stringify(configurationSchema()));
    for (const { name, text } of starters) {
      files.push(join(directory, `${name}.toml`));
      writeFileSync(join(directory, `${name}.toml`), text);
    }
    for (const [number, setup] of setups.filter((each) => each.verifiedLayers === undefined).entries())
      for (const file of workloadFiles)
        for (const [index, workload] of workloadsIn(file).entries()) {
          const path = join(directory, `${file}-${index}-${number}.toml`);
          files.push(path);
          writeFileSync(path, generatedFor([workload], setup, images));
        }
    // Taplo would write its inline tables across lines.
    const realm = join(repository, 'examples/realm.toml');
    files.push(...configurations.filter((path) => path !== realm));
    assert.ok(files.length > 20 && ofOthers.length > 5, `${files.length} and ${ofOthers.length}`);
  });
  after(() => rmSync(directory, { recursive: true }));

  it('examples, generated configurations and those of `config init` are formatted as it formats them', () => {
    const { status, stderr } = taplo('fmt', '--check', ...files, ...ofOthers);
    assert.equal(status, 0, stderr);
  });

  it('they are valid by the schema', () => {
    const { status, stderr } = taplo('lint', '--schema', pathToFileURL(schema).href, ...files);
    assert.equal(status, 0, stderr);
  });

  it('the schema refuses a misspelled key', () => {
    const file = join(directory, 'wrong.toml');
    writeFileSync(file, 'version = 1\n\n[agent]\nserver_adr = "unix:///run/agent.sock"\n');
    const { status, stderr } = taplo('lint', '--schema', pathToFileURL(schema).href, file);
    assert.equal(status, 1);
    assert.match(stderr, /server_adr/);
  });
});

function taplo(...words: readonly string[]): { readonly status: number | null; readonly stderr: string } {
  return spawnSync(process.execPath, [program, ...words], { encoding: 'utf8', timeout: 60_000 });
}
