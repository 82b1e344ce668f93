import assert from 'node:assert/strict';
import { test } from 'node:test';
import { html, inlineStyle } from './html.js';

test('text is escaped in elements and attributes, also in lists', () => {
  const text = `<script>alert(1)</script>"'&`;
  const expected = '&lt;script&gt;alert(1)&lt;/script&gt;&quot;&#39;&amp;';
  assert.equal(
    html`<p title="${text}">${[text, html`<b>${text}</b>`]}</p>`.toString(),
    `<p title="${expected}">${expected}<b>${expected}</b></p>`,
  );
});

test('invisible characters and those that reorder text are written as escapes; line feeds and tabs remain', () => {
  assert.equal(
    html`${'\u001b[31m\u202e\u2028\u0000\u009b\ufeff\ud800\r\n\tü'}`.toString(),
    '\\u{1b}[31m\\u{202e}\\u{2028}\\u{0}\\u{9b}\\u{feff}\\u{d800}\\u{d}\n\tü',
  );
});

test('numbers and nothing', () => {
  assert.equal(html`${1}${undefined}${[]}`.toString(), '1');
});

test('a style sheet cannot end its element', () => {
  assert.throws(() => inlineStyle('</style>'), TypeError);
  assert.equal(inlineStyle('p {}').element.toString(), '<style>p {}</style>');
  // printf 'p {}' | openssl dgst -sha256 -binary | base64
  assert.equal(inlineStyle('p {}').source, "'sha256-SNJDlN1Iy2mnt7DOjQIyDb2LQE6O5PQiSZomcdzawQ4='");
});
