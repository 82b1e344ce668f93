import { createHash } from 'node:crypto';
import { visibleText } from '@kata-agent/base';

/** HTML that is safe to send: made by `html` and `inlineStyle` alone. */
export class Html {
  readonly #text: string;

  private constructor(text: string) {
    this.#text = text;
  }

  /** Joins literal parts, which are HTML, with values, which are text unless they are Html. */
  static join(parts: readonly string[], values: readonly HtmlValue[]): Html {
    return new Html(parts.map((part, index) => part + rendered(values[index])).join(''));
  }

  toString(): string {
    return this.#text;
  }
}

/** What a template can contain. Text is escaped; `undefined` is nothing. */
export type HtmlValue = string | number | Html | undefined | readonly HtmlValue[];

/**
 * Makes HTML of a template. Each text becomes text or the value of an attribute in double quotes, whatever it contains: this is the
 * only place where a report escapes. Values must not be in names, in attributes without quotes, in URLs or in scripts.
 */
export function html(parts: TemplateStringsArray, ...values: readonly HtmlValue[]): Html {
  return Html.join(parts, values);
}

/** Returns a style element, and the source expression with which a Content Security Policy allows it (CSP Level 3, Section 2.3.1). */
export function inlineStyle(css: string): { readonly element: Html; readonly source: string } {
  if (css.includes('<')) throw new TypeError('a style sheet with < could end its element');
  const digest = createHash('sha256').update(css).digest('base64');
  return { element: Html.join([`<style>${css}</style>`], []), source: `'sha256-${digest}'` };
}

function rendered(value: HtmlValue): string {
  if (value === undefined) return '';
  if (value instanceof Html) return value.toString();
  if (typeof value === 'object') return value.map(rendered).join('');
  return escaped(String(value));
}

const entities: Readonly<Record<string, string>> = {
  '&': '&amp;',
  '<': '&lt;',
  '>': '&gt;',
  '"': '&quot;',
  "'": '&#39;',
};

/** Escapes what is markup, and writes out what is not seen. Line feeds and tabs remain. */
function escaped(text: string): string {
  return visibleText(text, '\n\t').replace(/[&<>"']/g, (one) => entities[one] ?? '');
}
