import assert from 'node:assert/strict';
import { createHash } from 'node:crypto';
import { test } from 'node:test';
import { type DataHub, notingHub } from './data-hub.js';

const base64url = (text: string): string => Buffer.from(text).toString('base64url');
const sealed = (payload: object): string =>
  `sealed.${base64url('{}')}.${base64url(JSON.stringify(payload))}.x`;
const sha256 = (text: string): string => `sha256:${createHash('sha256').update(text).digest('hex')}`;

test('a secret is noted before it is asked for, by its resource or by the hash of a text that the host chose', async () => {
  const notes: string[] = [];
  const hub: DataHub = {
    unsealSecret: () => Promise.reject(new Error(`refused after ${notes.length}`)),
    secureMount: () => Promise.resolve(),
  };
  const vault = { type: 'vault', provider: 'kbs' };
  const texts: readonly (readonly [text: string, name: string | undefined])[] = [
    [sealed({ ...vault, name: 'kbs:///default/db/password' }), 'kbs:///default/db/password'],
    [sealed({ ...vault, name: 'kbs:///a/b/c\u001b[2J' }), undefined],
    [sealed({ ...vault, name: 'kbs:///a/b/c and 9 more' }), undefined],
    [sealed({ ...vault, provider: 'aliyun', name: 'kbs:///a/b/c' }), undefined],
    [sealed({ type: 'envelope' }), undefined],
    ['sealed.', undefined],
  ];
  for (const [index, [text, name]] of texts.entries()) {
    const asked = notingHub(hub, (noted) => notes.push(noted)).unsealSecret(Buffer.from(text), undefined);
    await assert.rejects(asked, new RegExp(`refused after ${index + 1}$`));
    assert.equal(notes.at(-1), name ?? sha256(text));
  }
});
