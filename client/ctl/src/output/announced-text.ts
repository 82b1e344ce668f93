import { announcedMethods } from '@kata-agent/catalogue';
import { type Style, wrap } from '@kata-agent/cli';

/** Returns the documentation of a method that is announced and not served. */
export function announcedPage(name: string, width: number, style: Style): string {
  const method = announcedMethods.get(name);
  if (method === undefined) throw new Error(`${name} is not an announced method`);
  const section = (title: string, text: string): string =>
    `\n${style.bold(title)}\n${wrap(text, width, '  ')}`;
  return [
    `${style.bold(name)}\n${wrap(method.purpose, width, '  ')}`,
    section(
      'Not served',
      'No list of endpoints can name it. A call is answered with UNIMPLEMENTED and recorded.',
    ),
    section('Announced', method.announced),
    section('Exposure to a hostile peer', method.exposure),
    section('What breaks without it', method.without),
  ].join('');
}
