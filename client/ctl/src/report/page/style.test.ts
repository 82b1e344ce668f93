import assert from 'node:assert/strict';
import { test } from 'node:test';
import { style } from './style.js';

/** The colours of each theme by name: light, dark and print, in the order of the style sheet. */
const themes = [...style.matchAll(/:root \{([^}]*)\}/g)].map(
  ([, rules = '']) =>
    new Map(
      [...rules.matchAll(/--([a-z-]+): (#[0-9a-f]{6});/g)].map(([, name = '', color = '']) => [name, color]),
    ),
);

/** WCAG 2.2, "relative luminance". */
function luminance(color: string): number {
  const [red = 0, green = 0, blue = 0] = [1, 3, 5].map((at) => {
    const value = Number.parseInt(color.slice(at, at + 2), 16) / 255;
    return value <= 0.040_45 ? value / 12.92 : ((value + 0.055) / 1.055) ** 2.4;
  });
  return 0.2126 * red + 0.7152 * green + 0.0722 * blue;
}

function contrast(one: string, other: string): number {
  const [darker = 0, lighter = 0] = [luminance(one), luminance(other)].sort((a, b) => a - b);
  return (lighter + 0.05) / (darker + 0.05);
}

test('each text has a contrast of at least 4.5, in each theme (WCAG 2.2, 1.4.3)', () => {
  assert.equal(themes.length, 3);
  for (const [index, colors] of themes.entries()) {
    const pairs = [
      ...['text', 'muted', 'accent', 'bad', 'good'].map((name) => [name, 'page'] as const),
      ...['text', 'muted'].map((name) => [name, 'panel'] as const),
      ...['served', 'rules', 'refused', 'bad', 'good'].map((name) => [name, `${name}-back`] as const),
    ];
    for (const [text, back] of pairs) {
      const ratio = contrast(colors.get(text) ?? '', colors.get(back) ?? '');
      assert.ok(ratio >= 4.5, `theme ${index}: ${text} on ${back} has ${ratio.toFixed(2)}`);
    }
    // Of graphics: 1.4.11.
    assert.ok(contrast(colors.get('bar') ?? '', colors.get('page') ?? '') >= 3, `theme ${index}: bars`);
  }
});
