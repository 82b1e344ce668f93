import assert from 'node:assert/strict';
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { after } from 'node:test';
import type { DeliveredDocument, DeliveryName, DeliverySettings } from '../delivery.js';
import { deliverySources, fwCfgName, initdataKey, renderDiagnostic } from '../index.js';

const settings: DeliverySettings = {
  accept: ['initdata', 'fw_cfg', 'kernel_line', 'drop_ins'],
  bind: 'none',
  required: true,
  dropInDir: '/etc/kata-agent/conf.d',
  unusedInitdata: 'refuse',
  maySet: [],
};

/** A fake guest file tree in a temporary directory. */
export class GuestTree {
  readonly root: string;
  kernelCommandLine = '';

  constructor() {
    this.root = mkdtempSync(join(tmpdir(), 'kata-agent-delivery-'));
    after(() => rmSync(this.root, { recursive: true }));
  }

  put(path: string, bytes: string | Uint8Array): string {
    const whole = join(this.root, path);
    mkdirSync(dirname(whole), { recursive: true });
    writeFileSync(whole, bytes, { mode: 0o644 });
    return whole;
  }

  putFwCfg(bytes: Uint8Array, size: string = `${bytes.length}\n`): void {
    this.put(`sys/firmware/qemu_fw_cfg/by_name/${fwCfgName}/size`, size);
    this.put(`sys/firmware/qemu_fw_cfg/by_name/${fwCfgName}/raw`, bytes);
  }

  #collect(name: DeliveryName, relaxedPermissions: boolean) {
    const { root, kernelCommandLine } = this;
    const source = deliverySources({ kernelCommandLine, root, relaxedPermissions }).find(
      (one) => one.name === name,
    );
    assert.ok(source);
    return source.collect(settings);
  }

  /** Returns the documents of a source; of initdata its `kata-agent.toml`. */
  async documents(name: DeliveryName, relaxedPermissions = false): Promise<readonly DeliveredDocument[]> {
    const read = await this.#collect(name, relaxedPermissions);
    assert.ok(read.ok, read.ok ? '' : read.diagnostics.map((one) => renderDiagnostic(one)).join('\n'));
    const { documents, initdata } = read;
    const text = initdata?.files.get(initdataKey);
    if (initdata === undefined || text === undefined) return documents;
    const { file, envelope, algorithm } = initdata;
    return [{ file: `${file} ${initdataKey}`, bytes: Buffer.from(text), envelope, algorithm }];
  }

  /** Returns the single document that is delivered. */
  async document(name: DeliveryName): Promise<DeliveredDocument> {
    const [document, second] = await this.documents(name);
    assert.ok(document !== undefined && second === undefined);
    return document;
  }

  async refusal(name: DeliveryName, relaxedPermissions = false): Promise<string> {
    const read = await this.#collect(name, relaxedPermissions);
    assert.ok(!read.ok, 'it is refused');
    assert.ok(
      read.diagnostics.every(({ help = '' }) => help !== ''),
      'each has a fix',
    );
    return read.diagnostics.map((one) => renderDiagnostic(one)).join('\n');
  }
}

export function textOf({ bytes }: Pick<DeliveredDocument, 'bytes'>): string {
  return Buffer.from(bytes).toString();
}
