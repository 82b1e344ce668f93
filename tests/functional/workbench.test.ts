import assert from 'node:assert/strict';
import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, afterEach, before, beforeEach, describe, it } from 'node:test';
import axe from 'axe-core';
import { type Browser, chromium, type Page } from 'playwright-core';
import { whyWithout } from '../harness/prerequisites.js';
import { ctlProgram } from '../harness/repository.js';

const skip = whyWithout('chromium') ?? false;

/** Without connections of its own, which this test would wait for. */
const flags = [
  '--no-sandbox',
  '--disable-gpu',
  '--disable-quic',
  '--no-first-run',
  '--disable-background-networking',
  '--disable-component-update',
  '--disable-sync',
];

const pod = `apiVersion: v1
kind: Pod
metadata:
  name: web
spec:
  containers:
    - name: app
      image: docker.io/library/busybox:1.36
      command: [sleep, "120"]
`;

describe('kata-agent-ctl workbench, as a browser shows it', { skip }, () => {
  let directory = '';
  let browser: Browser;
  let served: ChildProcess;
  let address = '';
  let page: Page;
  /** What the page logs, errors among it. */
  const logged: string[] = [];

  before(async () => {
    directory = mkdtempSync(join(tmpdir(), 'kata-workbench-'));
    writeFileSync(join(directory, 'pod.yaml'), pod);
    writeFileSync(join(directory, 'config.toml'), 'version = 1\n');
    browser = await chromium.launch({ executablePath: '/usr/bin/chromium', args: flags });
    const argv = [ctlProgram, 'workbench', 'pod.yaml', '--config', 'config.toml'];
    served = spawn(process.execPath, argv, { cwd: directory, stdio: ['ignore', 'pipe', 'inherit'] });
    const [line] = (await once(served.stdout ?? assert.fail(), 'data')) as readonly Buffer[];
    address = String(line).trim();
  });
  after(async () => {
    await browser?.close();
    served?.kill('SIGKILL');
    rmSync(directory, { recursive: true, force: true });
  });
  beforeEach(async () => {
    page = await open({ colorScheme: 'light', width: 1440 });
  });
  afterEach(() => page.close());

  async function open({
    colorScheme,
    width,
  }: {
    readonly colorScheme: 'light' | 'dark';
    readonly width: number;
  }): Promise<Page> {
    const opened = await browser.newPage({ colorScheme, viewport: { width, height: 900 } });
    opened.on('console', (message) => logged.push(message.text()));
    opened.on('pageerror', (error) => logged.push(String(error)));
    await opened.goto(address);
    await opened.locator('#results li').first().waitFor();
    return opened;
  }

  const summary = (text: string): Promise<void> => page.locator(`#summary:text-is("${text}")`).waitFor();

  it('shows an error where it is typed, and no call while there is one', async () => {
    await page.locator('#configuration .cm-content').click();
    await page.keyboard.press('Control+End');
    await page.keyboard.type('[agent]\nlokc = true\n');
    await summary('The configuration has 1 error.');
    const marked = page.locator('#configuration .cm-lintRange-error');
    assert.equal(await marked.first().textContent(), 'lokc');
    assert.match((await page.locator('#results li').first().textContent()) ?? '', /lokc/);
    assert.equal(await page.locator('#results code').count(), 0);
  });

  it('generates a configuration, and shows the call that it refuses when an argument of the pod changes', async () => {
    await summary('Not sufficient: Pod web.');
    await page.getByRole('button', { name: 'Generate from the pod' }).click();
    await summary('Sufficient: Pod web.');
    assert.match(
      await page.locator('#configuration .cm-content').innerText(),
      /^# Smallest configuration for Pod web/,
    );
    assert.match(await page.locator('#results').innerText(), /constrains \d+ of \d+/);
    await page.locator('#pod .cm-line', { hasText: 'sleep' }).click();
    await page.keyboard.press('End');
    for (const key of ['ArrowLeft', 'ArrowLeft', 'Backspace', '1']) await page.keyboard.press(key);
    await summary('Not sufficient: Pod web.');
    const refused = page.locator('#results li', { has: page.locator('.refused') });
    assert.equal(await refused.count(), 1);
    assert.match(await refused.innerText(), /CreateContainer[^]*rule ".*" refuses [^]*121/);
    // The files are as before.
    assert.equal(readFileSync(join(directory, 'pod.yaml'), 'utf8'), pod);
    assert.equal(readFileSync(join(directory, 'config.toml'), 'utf8'), 'version = 1\n');
  });

  it('proposes the keys of a section, by the keyboard alone', async () => {
    await page.locator('#configuration .cm-content').focus();
    await page.keyboard.press('Control+End');
    await page.keyboard.type('[api]\nallowed_e');
    const proposed = page.locator('.cm-tooltip-autocomplete li', { hasText: 'allowed_endpoints' });
    await proposed.waitFor();
  });

  it('shows text of the pod as text', async () => {
    await page.locator('#pod .cm-line', { hasText: 'name: web' }).click();
    await page.keyboard.press('End');
    for (let letters = 'web'.length; letters > 0; letters -= 1) await page.keyboard.press('Backspace');
    await page.keyboard.type('"<img src=x onerror=alert(1)>"');
    await page.locator('#results', { hasText: '<img' }).waitFor();
    assert.equal(await page.locator('#results img').count(), 0);
  });

  for (const colorScheme of ['light', 'dark'] as const)
    for (const width of [1440, 390])
      it(`is accessible, and as wide as the window: ${colorScheme}, ${width} pixels`, async () => {
        const shown = await open({ colorScheme, width });
        await shown.evaluate(axe.source);
        const violations: readonly string[] = await shown.evaluate(
          'axe.run().then(({ violations }) => violations.map(({ id, nodes }) => `${id}: ${nodes.map(({ html }) => html).join()}`))',
        );
        assert.deepEqual(violations, []);
        assert.equal(await shown.evaluate('document.documentElement.scrollWidth'), width);
        await shown.close();
      });

  it('logs no violation of its policy, and ends with 0 on SIGTERM', async () => {
    assert.deepEqual(logged, []);
    served.kill('SIGTERM');
    assert.deepEqual(await once(served, 'exit'), [0, null]);
  });
});
